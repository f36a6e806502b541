package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.chipset.apic.LocalApics;
import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApicState;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Activity;
import dev.partita.hypervisor.ProcessorState.Events;
import dev.partita.hypervisor.ProcessorState.Msr;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// A processor's state moves between the engines.
class PortableStateTest {
  private static final boolean KVM_WORKS = new KvmEngine().selfTest().works();

  private final Engine kvm = new KvmEngine();
  private final Engine software = new SoftwareEngine();

  @BeforeEach
  void kvmIsThere() {
    TestEngines.assumeThere(kvm);
  }

  /// A checksum over what it has done so far, with a port write in each of 90 rounds:
  ///
  /// mov ecx, 90; mov ebx, 1; mov r8, 0x9E3779B97F4A7C15
  /// next: imul rbx, r8; rol rbx, 13; add rbx, rcx; mov [DATA + rcx * 8], rbx; mov eax, ebx
  /// out 0x33, eax; dec ecx; jnz next; out END, al
  private static final String PROGRAM =
      "B95A000000 BB01000000 49B8157C4A7FB979379E"
          + "490FAFD8 48C1C30D 4801CB 48891CCD00000200 89D8 E733 FFC9 75E5 E6F4 F4";

  /// Runs the program, changing to the next engine after every so many port writes.
  private List<String> run(int rounds, Engine... engines) {
    var all = new ArrayList<String>();
    var memory = new byte[4 << 20];
    ProcessorState state = null;
    for (int turn = 0; ; turn++) {
      var engine = engines[turn % engines.length];
      try (var machine =
          new TestMachine(
              engine, 1, new SoftwareEngine().supportedCpuid(), new GuestMemory(4 << 20))) {
        if (state == null) {
          machine.longMode(PROGRAM);
        } else {
          machine.memory.write(0, memory);
          machine.processor().setState(state);
        }
        var ended = new boolean[1];
        var written = new int[1];
        machine.hook =
            (processor, intercept) -> {
              if (intercept instanceof Intercept.PortWrite write) {
                ended[0] |= write.port == TestMachine.END;
                if (++written[0] >= rounds) {
                  processor.cancel();
                }
              }
            };
        machine.run();
        assertThat(machine.shutdown).isNull();
        all.addAll(machine.log);
        state = machine.processor().state();
        memory = machine.memory.read(0, memory.length);
      }
      if (ended(all)) {
        all.add("rbx %x".formatted(state.general()[ProcessorState.RBX]));
        all.add("sum %x".formatted(ByteBuffer.wrap(memory).getLong((int) TestMachine.DATA + 8)));
        return all;
      }
    }
  }

  private static boolean ended(List<String> log) {
    return log.size() == 90;
  }

  @Test
  void aProgramThatMovesBetweenTheEnginesEndsAsOnOneAlone() {
    var alone = run(1000, software);
    assertThat(alone).hasSize(92).doesNotHaveDuplicates();
    assertThat(run(1000, kvm)).isEqualTo(alone);
    assertThat(run(7, software, kvm)).isEqualTo(alone);
    assertThat(run(13, kvm, software)).isEqualTo(alone);
  }

  @Test
  void everyPartOfTheStateComesBackAsItWasSet() {
    try (var machine = new TestMachine(kvm)) {
      machine.processor().setState(unusual(Events.NONE));
      var state = machine.processor().state();
      assertSame(state, unusual(Events.NONE));
      // And what KVM gave, it takes.
      machine.processor().setState(state);
      assertSame(machine.processor().state(), state);
    }
  }

  @Test
  void stateGoesThroughTheOtherEngineUnchanged() {
    for (var engines : List.of(List.of(software, kvm), List.of(kvm, software))) {
      try (var first = new TestMachine(engines.get(0));
          var second = new TestMachine(engines.get(1))) {
        first.processor().setState(unusual(Events.NONE));
        second.processor().setState(first.processor().state());
        assertSame(second.processor().state(), unusual(Events.NONE));
        first.processor().setState(second.processor().state());
        assertSame(first.processor().state(), unusual(Events.NONE));
      }
    }
  }

  @Test
  void pendingEventsComeBack() {
    var all =
        List.of(
            new Events(Activity.RUNNING, 14, 2, -1, false, false, false),
            new Events(Activity.RUNNING, 6, -1, -1, false, false, false),
            new Events(Activity.RUNNING, -1, -1, 0x41, false, false, false),
            new Events(Activity.RUNNING, -1, -1, -1, true, true, false),
            new Events(Activity.RUNNING, -1, -1, -1, false, false, true),
            new Events(Activity.HALTED, -1, -1, -1, false, false, false),
            new Events(Activity.WAIT_FOR_SIPI, -1, -1, -1, false, false, false));
    try (var machine = new TestMachine(kvm, 2, List.of())) {
      var processor = machine.partition.processors().get(1);
      for (var events : all) {
        processor.setState(unusual(events));
        assertThat(processor.state().events()).isEqualTo(events);
      }
    }
  }

  @Test
  void theLocalApicsTimerGoesOnWithTheTimeThatWasLeft() {
    var apic = LocalApics.virtualWireState();
    var page = ByteBuffer.wrap(apic.registers()).order(ByteOrder.LITTLE_ENDIAN);
    page.putInt(0x320, 0x2_0040); // periodic, vector 0x40
    page.putInt(0x380, 2_000_000_000);
    page.putInt(0x3E0, 0b1001); // by 64
    try (var machine = new TestMachine(kvm)) {
      var set = new LocalApicState(apic.apicBase(), apic.registers(), 0, 100_000_000_000L);
      machine.processor().setState(with(TestMachine.longModeState(), set));
      var got = machine.processor().state().localApic();
      assertThat(got).isNotNull();
      if (got != null) {
        assertThat(got.timerRemaining()).isBetween(40_000_000_000L, 100_000_000_000L);
        assertThat(ByteBuffer.wrap(got.registers()).order(ByteOrder.LITTLE_ENDIAN).getInt(0x380))
            .isEqualTo(2_000_000_000);
      }
    }
  }

  /// Looked at often enough to meet the moment at which the timer has run out and KVM has not yet
  /// started it again.
  @Test
  void aPeriodicTimerIsNeverSavedAsStopped() {
    var apic = LocalApics.virtualWireState();
    var page = ByteBuffer.wrap(apic.registers()).order(ByteOrder.LITTLE_ENDIAN);
    page.putInt(0x320, 0x2_0040); // periodic, vector 0x40
    page.putInt(0x380, 250_000);
    page.putInt(0x3E0, 0b1011); // by 1
    try (var machine = new TestMachine(kvm)) {
      var set = new LocalApicState(apic.apicBase(), apic.registers(), 0, 250_000);
      machine.processor().setState(with(TestMachine.longModeState(), set));
      for (int i = 0; i < 20_000; i++) {
        var got = Objects.requireNonNull(machine.processor().state().localApic());
        assertThat(got.timerRemaining()).isBetween(0L, 250_000L);
      }
    }
  }

  /// A timer that runs out once, while its processor is away from guest code: the interrupt is in
  /// the saved state.
  @Test
  void theInterruptOfATimerThatRanOutIsSaved() {
    // on; divide by 1; LVT timer one-shot, vector 0x40; initial count 1,000,000; out 0x33, al; then
    // nothing
    try (var machine = new TestMachine(kvm)) {
      machine.hook =
          (processor, intercept) -> {
            if (intercept instanceof Intercept.PortWrite) {
              LockSupport.parkNanos(5_000_000);
              processor.cancel();
            }
          };
      machine.longMode(
          "C70425F0004000FF010000 C70425E00340000B000000 C704252003400040000000"
              + "C704258003400040420F00 E633 EBFE");
      machine.run();
      var got = Objects.requireNonNull(machine.processor().state().localApic());
      var page = ByteBuffer.wrap(got.registers()).order(ByteOrder.LITTLE_ENDIAN);
      assertThat(page.getInt(0x220)).isEqualTo(1);
    }
  }

  @Test
  void impossibleStatesAreRefused() {
    var state = TestMachine.longModeState();
    try (var machine = new TestMachine(kvm)) {
      assertThatThrownBy(() -> machine.processor().setState(with(state, 0x8000_0031L, 0x100)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("EFER.LMA");
      assertThatThrownBy(() -> machine.processor().setState(with(state, 0x8000_0030L, 0x500)))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  private static ProcessorState unusual(Events events) {
    var base = TestMachine.longModeState();
    var general = new long[16];
    for (int i = 0; i < 16; i++) {
      general[i] = 0x0123_4567_89AB_CD00L + i;
    }
    var xsave = ByteBuffer.wrap(base.xsave().clone()).order(ByteOrder.LITTLE_ENDIAN);
    xsave.putShort(0, (short) 0x27F);
    xsave.putInt(24, 0x1FA0);
    for (int i = 0; i < 32; i++) {
      xsave.putLong(160 + 8 * i, 0x1111_0000_0000_0000L + i);
    }
    var apic = LocalApics.virtualWireState();
    ByteBuffer.wrap(apic.registers()).order(ByteOrder.LITTLE_ENDIAN).putInt(0x80, 0x20);
    return new ProcessorState(
        general,
        0xFFFF_8000_0000_1234L,
        0x246,
        base.es(),
        base.cs(),
        base.ss(),
        base.ds(),
        new ProcessorState.Segment(0, 0x7F00_0000_1000L, -1, 0xC093),
        new ProcessorState.Segment(0, 0xFFFF_8880_0000_0000L, -1, 0xC093),
        base.ldtr(),
        base.tr(),
        new ProcessorState.Table(0xFFFF_FE00_0000_1000L, 0x7F),
        new ProcessorState.Table(0xFFFF_FE00_0000_0000L, 0xFFF),
        base.cr0() | 0x1_0000,
        0xDEAD_B000L,
        0x1000,
        base.cr4() | 0x80,
        0xD01,
        3,
        new long[] {0x1000, 0x2000, 0x3000, 0x4000, 0xFFFF_0FF1L, 0x401},
        xsave.array(),
        List.of(
            new Msr(0x174, 0x10),
            new Msr(0x175, 0xFFFF_8000_0000_2000L),
            new Msr(0x176, 0xFFFF_8000_0000_3000L),
            new Msr(0x277, 0x0007_0106_0007_0106L),
            new Msr(0xC000_0081, 0x0023_0010_0000_0000L),
            new Msr(0xC000_0082, 0xFFFF_8000_0000_4000L),
            new Msr(0xC000_0084, 0x4_7700),
            new Msr(0xC000_0102, 0x7F00_0000_2000L)),
        1_000_000_000_000L,
        events,
        apic);
  }

  private static ProcessorState with(ProcessorState s, LocalApicState apic) {
    return copy(s, s.cr0(), s.efer(), apic);
  }

  private static ProcessorState with(ProcessorState s, long cr0, long efer) {
    return copy(s, cr0, efer, null);
  }

  private static ProcessorState copy(
      ProcessorState s, long cr0, long efer, @org.jspecify.annotations.Nullable LocalApicState a) {
    return new ProcessorState(
        s.general(),
        s.rip(),
        s.rflags(),
        s.es(),
        s.cs(),
        s.ss(),
        s.ds(),
        s.fs(),
        s.gs(),
        s.ldtr(),
        s.tr(),
        s.gdtr(),
        s.idtr(),
        cr0,
        s.cr2(),
        s.cr3(),
        s.cr4(),
        efer,
        s.xcr0(),
        s.debug(),
        s.xsave(),
        s.msrs(),
        s.tsc(),
        s.events(),
        a);
  }

  /// All but time, which goes on, and the registers that only one of the engines has.
  private static void assertSame(ProcessorState actual, ProcessorState expected) {
    assertThat(actual.general()).isEqualTo(expected.general());
    assertThat(actual.rip()).isEqualTo(expected.rip());
    assertThat(actual.rflags()).isEqualTo(expected.rflags());
    assertThat(segments(actual)).isEqualTo(segments(expected));
    assertThat(List.of(actual.gdtr(), actual.idtr()))
        .isEqualTo(List.of(expected.gdtr(), expected.idtr()));
    assertThat(control(actual)).isEqualTo(control(expected));
    assertThat(actual.debug()).isEqualTo(expected.debug());
    assertThat(vectors(actual)).isEqualTo(vectors(expected));
    var msrs = new ArrayList<Msr>(expected.msrs());
    msrs.removeIf(msr -> actual.msrs().stream().noneMatch(a -> a.index() == msr.index()));
    assertThat(msrs).hasSizeGreaterThanOrEqualTo(8);
    assertThat(actual.msrs()).containsAll(msrs.stream().filter(m -> isCommon(m.index())).toList());
    if (KVM_WORKS) {
      // Elsewhere the host's own counter shows through.
      assertThat(actual.tsc()).isBetween(expected.tsc(), expected.tsc() + (1L << 38));
    }
    assertThat(actual.events()).isEqualTo(expected.events());
    var a = actual.localApic();
    var e = expected.localApic();
    assertThat(a).isNotNull();
    assertThat(e).isNotNull();
    if (a != null && e != null) {
      assertThat(a.apicBase()).isEqualTo(e.apicBase());
      for (int register : new int[] {0x20, 0x80, 0xD0, 0xE0, 0xF0, 0x320, 0x350, 0x360, 0x370}) {
        assertThat(word(a, register))
            .as("APIC register 0x%x", register)
            .isEqualTo(word(e, register));
      }
      assertThat(a.timerRemaining()).isEqualTo(e.timerRemaining());
    }
  }

  private static int word(LocalApicState apic, int register) {
    return ByteBuffer.wrap(apic.registers()).order(ByteOrder.LITTLE_ENDIAN).getInt(register);
  }

  private static boolean isCommon(int msr) {
    return msr == 0x277 || msr >= 0x174 && msr <= 0x176 || (msr & 0xFFFF_FF00) == 0xC000_0000;
  }

  private static List<ProcessorState.Segment> segments(ProcessorState s) {
    return List.of(s.es(), s.cs(), s.ss(), s.ds(), s.fs(), s.gs(), s.tr());
  }

  private static List<Long> control(ProcessorState s) {
    return List.of(s.cr0(), s.cr2(), s.cr3(), s.cr4(), s.efer(), s.xcr0());
  }

  private static List<Long> vectors(ProcessorState s) {
    var area = ByteBuffer.wrap(s.xsave()).order(ByteOrder.LITTLE_ENDIAN);
    var list = new ArrayList<Long>();
    list.add((long) area.getShort(0));
    list.add((long) area.getInt(24));
    for (int i = 0; i < 32; i++) {
      list.add(area.getLong(160 + 8 * i));
    }
    return list;
  }
}
