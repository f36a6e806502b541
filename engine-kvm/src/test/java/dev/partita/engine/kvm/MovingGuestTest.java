package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.enlightenment.EnlightenmentState;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Guests that are moved to another engine in the middle, and back, and end as on one engine alone.
class MovingGuestTest {
  private final Engine kvm = new KvmEngine();
  private final Engine software = new SoftwareEngine();

  @BeforeEach
  void kvmIsThere() {
    TestEngines.assumeThere(kvm);
  }

  /// A guest that tells its progress at ports.
  ///
  /// @param prepare puts it into a machine that has none yet
  /// @param answer what the host does at each of its port writes
  private record Guest(Consumer<TestMachine> prepare, Answer answer) {
    Guest(Consumer<TestMachine> prepare) {
      this(prepare, (_, _) -> {});
    }
  }

  private interface Answer {
    void to(TestMachine machine, Intercept.PortWrite write);
  }

  /// All of a partition, as it is saved.
  private record Saved(byte[] memory, ProcessorState processor, EnlightenmentState enlightenment) {}

  /// Runs a guest, moving it to the next engine after every so many port writes.
  ///
  /// @return its port writes and interrupts, and its memory's and registers' last state
  private static List<String> run(Guest guest, int writes, Engine... engines) {
    var all = new ArrayList<String>();
    Saved saved = null;
    int moves = 0;
    for (int turn = 0; ; turn++) {
      var engine = engines[turn % engines.length];
      // What both have: a guest that moves must not use more.
      var cpuid = new SoftwareEngine().supportedCpuid();
      try (var machine = TestMachine.enlightened(engine, 1, cpuid)) {
        load(machine, guest, saved);
        var ended = new boolean[1];
        var count = new int[1];
        machine.hook =
            (processor, intercept) ->
                saw(machine, guest, processor, intercept, ended, count, writes);
        machine.run();
        assertThat(machine.shutdown).isNull();
        all.addAll(machine.log);
        // How often a timer interrupts in the meantime is the host's affair.
        all.removeIf("vector 40"::equals);
        saved =
            new Saved(
                machine.memory.read(0, (int) machine.memory.size()),
                machine.processor().state(),
                machine.enlightenment().state());
        if (ended[0]) {
          assertThat(moves).isGreaterThanOrEqualTo(engines.length - 1);
          all.add("rbx %x".formatted(saved.processor().general()[ProcessorState.RBX]));
          all.add("data %x".formatted(machine.memory.readLong(TestMachine.DATA)));
          return all;
        }
        moves++;
      }
    }
  }

  private static void load(TestMachine machine, Guest guest, @Nullable Saved saved) {
    if (saved == null) {
      guest.prepare().accept(machine);
      return;
    }
    machine.memory.write(0, saved.memory());
    machine.processor().setState(saved.processor());
    machine.enlightenment().restore(saved.enlightenment());
  }

  private static void saw(
      TestMachine machine,
      Guest guest,
      VirtualProcessor processor,
      Intercept intercept,
      boolean[] ended,
      int[] count,
      int writes) {
    if (intercept instanceof Intercept.PortWrite write) {
      ended[0] |= write.port == TestMachine.END;
      guest.answer().to(machine, write);
      if (++count[0] >= writes) {
        processor.cancel();
      }
    }
  }

  private void movesAnywhere(Guest guest, int lines) {
    var alone = run(guest, Integer.MAX_VALUE, software);
    assertThat(alone).hasSize(lines);
    assertThat(run(guest, Integer.MAX_VALUE, kvm)).isEqualTo(alone);
    assertThat(run(guest, 11, software, kvm)).isEqualTo(alone);
    assertThat(run(guest, 17, kvm, software)).isEqualTo(alone);
    assertThat(run(guest, 20, kvm, kvm)).isEqualTo(alone);
  }

  /// At level 3, for a KVM without hardware under it has floating point only there:
  ///
  ///     mov ecx, 60
  ///     fldcw [cw]                  ; single precision
  ///     ldmxcsr [mxcsr]             ; rounding to zero
  ///     fld1
  ///     mov eax, 3
  ///     cvtsi2sd xmm1, eax
  ///     cvtsi2sd xmm0, eax
  ///     movd xmm2, eax
  ///     pshufd xmm2, xmm2, 0
  ///     next:
  ///     divsd xmm0, xmm1
  ///     addsd xmm0, xmm1
  ///     paddd xmm2, xmm2
  ///     pxor xmm2, xmm0
  ///     fldpi
  ///     fmulp st1
  ///     fst qword [DATA + 0x800]
  ///     movd eax, xmm2
  ///     xor eax, [DATA + 0x800]
  ///     ud2                         ; tell EAX
  ///     dec ecx
  ///     jnz next
  ///     ud2
  private static final String FLOATING_POINT =
      "B93C000000 D92C2510080200 0FAE142514080200 D9E8 B803000000 F20F2AC8 F20F2AC0 660F6ED0"
          + "660F70D200 F20F5EC1 F20F58C1 660FFED2 660FEFD0 D9EB DEC9 DD142500080200 660F7ED0"
          + "33042500080200 0F0B FFC9 75D4 0F0B";

  /// The handler of the invalid opcode, which is the guest's system call:
  ///
  ///     out 0x33, eax
  ///     test ecx, ecx
  ///     jz end
  ///     add qword [rsp], 2
  ///     iretq
  ///     end: out END, al; hlt
  private static final String SYSTEM_CALL = "E733 85C9 7407 4883042402 48CF E6F4 F4";

  @Test
  void floatingPointOfUserMode() {
    movesAnywhere(
        new Guest(
            machine -> {
              machine.code(0xA000, FLOATING_POINT);
              machine.code(0xB000, SYSTEM_CALL).handler(6, 0xB000);
              machine.memory.writeShort(TestMachine.DATA + 0x810, (short) 0x007F);
              machine.memory.writeInt(TestMachine.DATA + 0x814, 0x7F80);
              // push USER_DATA; push STACK; push 2; push USER_CODE64; push 0xA000; iretq
              machine.longMode("6A1B 6800700000 6A02 6A23 6800A00000 48CF");
            }),
        61 + 2);
  }

  /// Messages that the guest waits for, with the synthetic controller, the local APIC with a task
  /// priority, and registers that keep what was written: after each `out 0x60` the host posts two
  /// messages, one of which has to wait for the slot.
  @Test
  void messagesInterruptsAndRegisters() {
    // mov dword [APIC + 0xF0], 0x1FF; mov dword [APIC + 0x80], 0x20; GUEST_OS_ID; SIMP; SINT2;
    // SCONTROL; LSTAR = what it is
    var begin =
        "C70425F0004000FF010000 C70425800040 0020000000"
            + wrmsr(0x4000_0000, 0x8100_0006_01C0_0000L)
            + wrmsr(0x4000_0083, 0x3_1001)
            + wrmsr(0x4000_0092, 0x42)
            + wrmsr(0x4000_0080, 1)
            + wrmsr(0xC000_0082, 0x1234_5678);
    // mov ebx, 12; next: mov eax, ebx; out 0x60, eax; sti; hlt; cli
    // mov eax, [SLOT + 16]; add [DATA], eax; out 0x61, eax; mov dword [SLOT], 0; EOM; sti; nop; cli
    // the same once more, without the request; LSTAR, SINT2 and the task priority to port 0x62
    // dec ebx; jnz next
    var take =
        "FB F4 FA 8B042510120300 01042500000200 E761 C704250012030000000000"
            + wrmsr(0x4000_0084, 0);
    var body =
        "89D8 E760"
            + take
            + take
            + ("B9820000C0 0F32 E762 B992000040 0F32 E762 8B042580004000 E762")
            + "FFCB";
    int length = body.replace(" ", "").length() / 2;
    var loop = "BB0C000000" + body + "0F85" + int32(-(length + 6)) + "E6F4 F4";
    movesAnywhere(
        new Guest(
            machine -> machine.longMode(begin + loop),
            (machine, write) -> {
              if (write.port == 0x60) {
                var synic = machine.enlightenment().synic();
                synic.post(0, 2, 7, 0, new byte[] {(byte) write.value, 1, 0, 0});
                synic.post(0, 2, 8, 0, new byte[] {(byte) write.value, 2, 0, 0});
              }
            }),
        12 * 8 + 2);
  }

  /// Interrupts of the local APIC's own timer, periodic, each of which the guest tells.
  @Test
  void theLocalApicsPeriodicTimer() {
    // on; divide by 1; LVT timer periodic, vector 0x40; initial count 1,000,000
    // mov ebx, 20; next: sti; hlt; cli; inc dword [DATA]; mov eax, [DATA]; out 0x33, eax
    // dec ebx; jnz next; mov dword [APIC + 0x380], 0; out END, al
    movesAnywhere(
        new Guest(
            machine ->
                machine.longMode(
                    "C70425F0004000FF010000 C70425E00340000B000000 C704252003400040000200"
                        + "C704258003400040420F00 BB14000000"
                        + "FB F4 FA FF042500000200 8B042500000200 E733 FFCB 75E9"
                        + "C704258003400000000000 E6F4 F4")),
        20 + 2);
  }

  @Test
  void theLocalApicInX2ApicMode() {
    // APIC base: x2APIC mode; spurious-interrupt vector 0x1FF; task priority 0x20; divide by 1; LVT
    // timer periodic, vector 0x40; initial count 1,000,000
    var begin =
        wrmsr(0x1B, 0xFEE0_0D00L)
            + wrmsr(0x80F, 0x1FF)
            + wrmsr(0x808, 0x20)
            + wrmsr(0x83E, 0xB)
            + wrmsr(0x832, 0x2_0040)
            + wrmsr(0x838, 1_000_000);
    // mov ebx, 20; next: sti; hlt; cli; read task priority, tell it; read id, tell it; dec ebx
    // jnz next
    var loop = "BB14000000 FBF4FA B908080000 0F32 E734 B902080000 0F32 E735 FFCB 75E7";
    movesAnywhere(
        new Guest(
            machine -> {
              // push rax; push rcx; push rdx; mov eax, 0x40; out VECTOR, eax; EOI by MSR 0x80B;
              // pop rdx; pop rcx; pop rax; iretq
              machine.code(0xB000, "505152 B840000000 E7F0" + wrmsr(0x80B, 0) + "5A5958 48CF");
              machine.handler(0x40, 0xB000);
              machine.longMode(begin + loop + wrmsr(0x838, 0) + "E6F4 F4");
            }),
        20 * 2 + 2);
  }

  private static String int32(long value) {
    return java.util.HexFormat.of().toHexDigits(Integer.reverseBytes((int) value));
  }

  /// mov ecx, index; mov eax, value; mov edx, value >> 32; wrmsr
  private static String wrmsr(int index, long value) {
    return "B9" + int32(index) + "B8" + int32(value) + "BA" + int32(value >>> 32) + "0F30";
  }
}
