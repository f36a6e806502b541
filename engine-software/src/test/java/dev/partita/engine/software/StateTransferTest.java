package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Activity;
import dev.partita.hypervisor.ProcessorState.Events;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Saved state of a processor: complete, both ways.
class StateTransferTest {
  private final Guest guest = new Guest().longMode();
  private final Guest other = new Guest();

  @AfterEach
  void close() {
    guest.close();
    other.close();
  }

  /// Fills everything that can be saved with numbers of its own.
  private void scramble() {
    var random = new Random(42);
    var c = guest.cpu();
    for (int i = 0; i < 16; i++) {
      c.r[i] = random.nextLong();
      c.xmm[4 * i] = random.nextLong();
      c.xmm[4 * i + 1] = random.nextLong();
      c.xmm[4 * i + 2] = random.nextLong();
      c.xmm[4 * i + 3] = random.nextLong();
    }
    c.mxcsr = 0x1FA0;
    var image = new byte[X87.IMAGE_SIZE];
    random.nextBytes(image);
    // A control word without reserved bits; significands of all kinds.
    image[0] = 0x7F;
    image[1] = 0x03;
    c.x87.loadFxImage(image);
    c.setFlags(Cpu.CF | Cpu.SF | Cpu.DF | Cpu.ID | Cpu.NT | 2);
    c.cr2 = 0x1234_5678_9ABCL;
    c.debug[0] = 0x1111;
    c.debug[3] = 0x3333;
    c.debug[6] = DebugRegisters.dr6(0xFFFF_4FF1L);
    c.debug[7] = DebugRegisters.dr7(0x0700);
    c.xcr0 = 7;
    c.segmentBase[Cpu.GS] = 0xFFFF_8880_0000_0000L;
    c.ldtrSelector = Guest.LOCAL_TABLE;
    c.ldtrBase = Guest.DATA;
    c.ldtrLimit = 0x1F;
    c.ldtrAttributes = 0x82;
    c.msrs.star = 1;
    c.msrs.lstar = 2;
    c.msrs.cstar = 3;
    c.msrs.fmask = 4;
    c.msrs.kernelGsBase = 5;
    c.msrs.sysenterCs = 6;
    c.msrs.sysenterEsp = 7;
    c.msrs.sysenterEip = 8;
    c.msrs.tscAux = 9;
    c.msrs.write(c, 0x277, 0x0407_0506_0007_0106L);
    c.msrs.write(c, 0x2FF, 0xC06);
    c.msrs.write(c, 0x200, 0xC000_0000L);
    c.msrs.write(c, 0x201, 0x3FFF_C000_0800L);
    c.msrs.write(c, 0x26F, 0x0505_0505_0505_0505L);
    c.owner.tsc().write(1_000_000);
    c.apic.setTscDeadline(77);
  }

  private static void assertSame(ProcessorState actual, ProcessorState expected) {
    assertThat(actual).usingRecursiveComparison().isEqualTo(expected);
  }

  @Test
  void roundTripKeepsEverything() {
    scramble();
    var state = guest.processor().state();
    other.processor().setState(state);
    assertSame(other.processor().state(), state);
    assertThat(other.cpu().mode).isEqualTo(guest.cpu().mode);
  }

  @Test
  void stateOfEachModeRoundTrips() {
    for (var mode : new String[] {"real", "protected", "user", "reset"}) {
      switch (mode) {
        case "real" -> {
          Reset.reset(guest.cpu(), false);
          guest.realMode();
        }
        case "protected" -> {
          Reset.reset(guest.cpu(), false);
          guest.protectedMode();
        }
        case "user" -> guest.longMode().user();
        default -> Reset.reset(guest.cpu(), false);
      }
      var state = guest.processor().state();
      other.processor().setState(state);
      assertSame(other.processor().state(), state);
      assertThat(other.cpu().cpl).as(mode).isEqualTo(guest.cpu().cpl);
      assertThat(other.cpu().mode).as(mode).isEqualTo(guest.cpu().mode);
      guest.longMode();
    }
  }

  @Test
  void runningProgramGoesOnElsewhere() {
    // Counts to 10 with a port write each time.
    // again: inc eax
    // out 0x10, al
    // cmp eax, 10
    // jne again
    // cli
    // hlt
    guest.code(Guest.CODE, "ffc0 e610 83f80a 75f7 fa f4");
    guest.portHook =
        (p, port, value) -> {
          if (value == 4) {
            p.cancel();
          }
        };
    guest.run();
    assertThat(guest.portWrites).hasSize(4);
    other.memory.write(0, guest.memory.read(0, (int) guest.memory.size()));
    other.processor().setState(guest.processor().state());
    other.run();
    assertThat(other.portWrites).hasSize(6);
    assertThat(other.register(Cpu.RAX)).isEqualTo(10);
  }

  @Test
  void xsaveAreaHasTheStandardFormat() {
    scramble();
    var area = guest.processor().state().xsave();
    var buffer = java.nio.ByteBuffer.wrap(area).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    assertThat(buffer.getInt(24)).as("MXCSR").isEqualTo(0x1FA0);
    assertThat(buffer.getShort(0)).as("FCW").isEqualTo((short) 0x37F);
    assertThat(buffer.getLong(512)).as("XSTATE_BV").isEqualTo(7);
    assertThat(buffer.getLong(160 + 16 * 5)).as("XMM5").isEqualTo(guest.cpu().xmm[20]);
    assertThat(buffer.getLong(576 + 16 * 5)).as("YMM5, upper").isEqualTo(guest.cpu().xmm[22]);
    assertThat(buffer.getLong(584 + 16 * 15)).as("YMM15, top").isEqualTo(guest.cpu().xmm[63]);
    other.processor().setState(guest.processor().state());
    assertThat(other.cpu().xmm).startsWith(java.util.Arrays.copyOf(guest.cpu().xmm, 64));
    // A component that is not in XSTATE_BV is in its initial state, whatever the area holds.
    buffer.putLong(512, 1);
    var state = guest.processor().state();
    other.processor().setState(withXsave(state, area));
    assertThat(other.cpu().xmm[20]).isZero();
    assertThat(other.cpu().xmm[22]).isZero();
  }

  @Test
  void upperHalvesAreKeptWhenXcr0NoLongerEnablesThem() {
    scramble();
    guest.cpu().xcr0 = 3;
    other.processor().setState(guest.processor().state());
    assertThat(other.cpu().xcr0).isEqualTo(3);
    assertThat(other.cpu().xmm[63]).isEqualTo(guest.cpu().xmm[63]).isNotZero();
  }

  @Test
  void avxWithoutSseIsRefused() {
    guest.cpu().xcr0 = 5;
    var state = guest.processor().state();
    assertThatThrownBy(() -> other.processor().setState(state))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("AVX without SSE");
  }

  private static ProcessorState withXsave(ProcessorState s, byte[] xsave) {
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
        s.cr0(),
        s.cr2(),
        s.cr3(),
        s.cr4(),
        s.efer(),
        s.xcr0(),
        s.debug(),
        xsave,
        s.msrs(),
        s.tsc(),
        s.events(),
        s.localApic());
  }

  private static ProcessorState with(ProcessorState s, long cr0, long efer, Events events) {
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
        events,
        s.localApic());
  }

  @Test
  void eventsRoundTrip() {
    var state = guest.processor().state();
    var events = new Events(Activity.HALTED, 14, 2, 0x40, true, true, true);
    other.processor().setState(with(state, state.cr0(), state.efer(), events));
    assertThat(other.processor().state().events()).isEqualTo(events);
    other.processor().setState(state);
    assertThat(other.processor().state().events()).isEqualTo(Events.NONE);
  }

  @Test
  void pendingExceptionIsDeliveredFirst() {
    var state = guest.processor().state();
    var events = new Events(Activity.RUNNING, 13, 0x50, -1, false, false, false);
    guest.processor().setState(with(state, state.cr0(), state.efer(), events));
    assertThat(guest.runToVector()).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(guest.frame(0)).isEqualTo(0x50);
    assertThat(guest.frame(1)).isEqualTo(Guest.CODE);
  }

  @Test
  void pendingInterruptIsDeliveredAndEndsAHalt() {
    var state = guest.processor().state();
    var events = new Events(Activity.HALTED, -1, -1, 0x40, false, false, false);
    guest.processor().setState(with(state, state.cr0(), state.efer(), events));
    assertThat(guest.runToVector()).isEqualTo(0x40);
  }

  @Test
  void impossibleStatesAreRefused() {
    var s = guest.processor().state();
    assertThatThrownBy(
            () -> other.processor().setState(with(s, s.cr0() & ~1L, s.efer(), s.events())))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("CR0");
    assertThatThrownBy(
            () -> other.processor().setState(with(s, s.cr0(), s.efer() & ~0x400L, s.events())))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("EFER");
    var events = new Events(Activity.RUNNING, 99, -1, -1, false, false, false);
    assertThatThrownBy(() -> other.processor().setState(with(s, s.cr0(), s.efer(), events)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("vector");
  }

  @Test
  void haltedProcessorStaysHalted() {
    var state = guest.processor().state();
    var events = new Events(Activity.HALTED, -1, -1, -1, false, false, false);
    guest.code(Guest.CODE, "0f 0b");
    guest.processor().setState(with(state, state.cr0(), state.efer(), events));
    guest.run();
    assertThat(guest.cpu().rip).as("nothing ran").isEqualTo(Guest.CODE);
  }
}
