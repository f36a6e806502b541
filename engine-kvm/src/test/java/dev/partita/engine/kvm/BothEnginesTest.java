package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// Small guests that must do the same on every engine.
@ParameterizedClass
@MethodSource("dev.partita.engine.kvm.TestEngines#all")
class BothEnginesTest {
  @Parameter Engine engine = new SoftwareEngine();

  @BeforeEach
  void engineIsThere() {
    TestEngines.assumeThere(engine);
  }

  private void needsWorkingKvm(String reason) {
    TestEngines.assumeWorkingKvm(engine, reason);
  }

  // ---- Ports

  @Test
  void portAccessesOfEverySizeReachTheHandler() {
    try (var machine = new TestMachine(engine)) {
      machine.ports.put(0x10, 0x1234_5678);
      // mov eax, 0x11223344; out 0x10, al; out 0x11, ax; out 0x12, eax; mov dx, 0x3F8; out dx, al
      // xor eax, eax; in al, 0x10; out 0x20, eax; in ax, 0x10; out 0x20, eax
      // in eax, 0x10; out 0x20, eax; out END, al
      machine.longMode(
          "B844332211 E610 66E711 E712 66BAF803 EE"
              + "31C0 E410 E720 66E510 E720 E510 E720 E6F4 F4");
      assertThat(machine.run()).isEqualTo(RunExit.CANCELLED);
      assertThat(machine.log)
          .containsExactly(
              "out 10/1=44",
              "out 11/2=3344",
              "out 12/4=11223344",
              "out 3f8/1=44",
              "in 10/1",
              "out 20/4=78",
              "in 10/2",
              "out 20/4=5678",
              "in 10/4",
              "out 20/4=12345678");
    }
  }

  @Test
  void stringPortInstructionsAreOneAccessForEachElement() {
    try (var machine = new TestMachine(engine)) {
      machine.ports.put(0x40, 0xBEEF);
      machine.memory.writeLong(TestMachine.DATA, 0x0807_0605_0403_0201L);
      // mov esi, DATA; mov ecx, 3; mov dx, 0x30; cld; rep outsb
      // mov edi, DATA + 0x100; mov ecx, 2; mov dx, 0x40; rep insw; out END, al
      machine.longMode(
          "BE00000200 B903000000 66BA3000 FC F36E"
              + "BF00010200 B902000000 66BA4000 66F36D E6F4 F4");
      machine.run();
      assertThat(machine.log)
          .containsExactly("out 30/1=1", "out 30/1=2", "out 30/1=3", "in 40/2", "in 40/2");
      assertThat(machine.memory.readLong(TestMachine.DATA + 0x100)).isEqualTo(0xBEEF_BEEFL);
    }
  }

  @Test
  void registersAreSeenAndSetInThePortWriteAndModeIsKnown() {
    try (var machine = new TestMachine(engine)) {
      var seen = new ArrayList<String>();
      machine.hook =
          (processor, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x50) {
              seen.add(
                  "%x %x %s %d"
                      .formatted(
                          processor.general(ProcessorState.RCX),
                          processor.general(8),
                          processor.mode(),
                          processor.privilegeLevel()));
              processor.setGeneral(ProcessorState.RAX, 0xABCD_0000_1234L);
              processor.setGeneral(9, 7);
            }
          };
      // mov ecx, 5; mov r8d, 6; out 0x50, eax; mov [DATA], rax; mov [DATA + 8], r9; out END, al
      machine.longMode("B905000000 41B806000000 E750 4889042500000200 4C890C2508000200 E6F4 F4");
      machine.run();
      assertThat(seen).containsExactly("5 6 LONG 0");
      assertThat(machine.memory.readLong(TestMachine.DATA)).isEqualTo(0xABCD_0000_1234L);
      assertThat(machine.memory.readLong(TestMachine.DATA + 8)).isEqualTo(7);
    }
  }

  // ---- MMIO

  @Test
  void memoryAccessesOutsideOfRamReachTheHandler() {
    try (var machine = new TestMachine(engine)) {
      // mov byte [MMIO], 0x5A; mov word [MMIO+2], 0x1234; mov dword [MMIO+4], 0x89ABCDEF
      // mov rax, [MMIO+8]; mov [DATA], rax; mov rbx, 0x0102030405060708; mov [MMIO+16], rbx
      // mov al, [MMIO+1]; mov [DATA+8], al; out END, al
      machine.longMode(
          "C60425000020005A 66C70425020020003412 C7042504002000EFCDAB89"
              + "488B042508002000 4889042500000200"
              + "48BB0807060504030201 48891C2510002000"
              + "8A042501002000 88042508000200 E6F4 F4");
      machine.run();
      assertThat(machine.log)
          .containsExactly(
              "write e0000000/1=5a",
              "write e0000002/2=1234",
              "write e0000004/4=89abcdef",
              "read e0000008/8",
              "write e0000010/8=102030405060708",
              "read e0000001/1");
      assertThat(machine.memory.readLong(TestMachine.DATA)).isEqualTo(0x1122_3344_5566_7788L);
      assertThat(machine.memory.readByte(TestMachine.DATA + 8)).isEqualTo((byte) 0x88);
    }
  }

  // ---- MSRs and CPUID

  @Test
  void registersOfTheHypervisorInterfaceReachTheHandler() {
    try (var machine = new TestMachine(engine)) {
      machine.msrs.put(0x4000_0000, 0L);
      machine.msrs.put(0x4000_0020, 0x1234_5678_9ABC_DEF0L);
      // mov ecx, 0x40000000; mov eax, 0x55667788; mov edx, 0x11223344; wrmsr
      // mov ecx, 0x40000020; rdmsr; mov [DATA], eax; mov [DATA+4], edx; out END, al
      machine.longMode(
          "B900000040 B888776655 BA44332211 0F30"
              + "B920000040 0F32 89042500000200 89142504000200 E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("wrmsr 40000000=1122334455667788", "rdmsr 40000020");
      assertThat(machine.msrs).containsEntry(0x4000_0000, 0x1122_3344_5566_7788L);
      assertThat(machine.memory.readLong(TestMachine.DATA)).isEqualTo(0x1234_5678_9ABC_DEF0L);
    }
  }

  @Test
  void anUnansweredRegisterIsAGeneralProtectionFault() {
    try (var machine = new TestMachine(engine)) {
      // mov ecx, 0x40000105; rdmsr
      machine.longMode("B905010040 0F32 E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("rdmsr 40000105", "vector d");
      // mov ecx, 0x12345678; wrmsr
      machine.log.clear();
      machine.longMode("B978563412 0F30 E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("wrmsr 12345678=0", "vector d");
    }
  }

  @Test
  void cpuidGivesThePartitionsLeaves() {
    var leaf =
        new CpuidTable.Leaf(
            0x4000_0000, CpuidTable.ANY_SUBLEAF, 0x4000_0001, 0x1111, 0x2222, 0x3333);
    var other = new CpuidTable.Leaf(0x4000_0001, CpuidTable.ANY_SUBLEAF, 0x3123_7648, 0, 0, 0);
    try (var machine = new TestMachine(engine, 1, List.of(leaf, other))) {
      // mov eax, 0x40000000; xor ecx, ecx; cpuid
      // mov [DATA], eax; mov [DATA+4], ebx; mov [DATA+8], ecx; mov [DATA+12], edx
      // mov eax, 0x40000001; cpuid; mov [DATA+16], eax; out END, al
      machine.longMode(
          "B800000040 31C9 0FA2 89042500000200 891C2504000200 890C2508000200 8914250C000200"
              + "B801000040 0FA2 89042510000200 E6F4 F4");
      machine.run();
      assertThat(machine.memory.readInt(TestMachine.DATA)).isEqualTo(0x4000_0001);
      assertThat(machine.memory.readInt(TestMachine.DATA + 4)).isEqualTo(0x1111);
      assertThat(machine.memory.readInt(TestMachine.DATA + 8)).isEqualTo(0x2222);
      assertThat(machine.memory.readInt(TestMachine.DATA + 12)).isEqualTo(0x3333);
      assertThat(machine.memory.readInt(TestMachine.DATA + 16)).isEqualTo(0x3123_7648);
    }
  }

  // ---- Interrupts

  /// mov dword [APIC + 0xF0], 0x1FF: the local APIC on.
  private static final String APIC_ON = "C70425F0004000 FF010000";

  @Test
  void aMessageInterruptsAHaltedProcessor() {
    try (var machine = new TestMachine(engine)) {
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              machine.partition.signalMsi(0xFEE0_0000L, 0x51);
            }
          };
      // out 0x60, al (the message comes); out 0x61, al; sti; hlt; cli; out END, al
      machine.longMode(APIC_ON + "E660 E661 FB F4 FA E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("out 60/1=0", "out 61/1=0", "vector 51");
    }
  }

  @Test
  void aMessageFromAnotherThreadWakesAHaltedProcessor() throws Exception {
    try (var machine = new TestMachine(engine)) {
      var about = new CountDownLatch(1);
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              about.countDown();
            }
          };
      // out 0x60, al; sti; hlt; cli; out END, al
      machine.longMode(APIC_ON + "E660 FB F4 FA E6F4 F4");
      var runner = machine.start(machine.processor());
      assertThat(about.await(60, TimeUnit.SECONDS)).isTrue();
      machine.partition.signalMsi(0xFEE0_0000L, 0x71);
      runner.join();
      assertThat(machine.log).containsExactly("out 60/1=0", "vector 71");
    }
  }

  @Test
  void theEndOfALevelTriggeredInterruptIsTold() {
    try (var machine = new TestMachine(engine)) {
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              machine.partition.signalMsi(0xFEE0_0000L, 1 << 15 | 1 << 14 | 0x59);
            }
          };
      // sti; out 0x60, al; nop; nop; out 0x60, al; nop; nop; out END, al
      machine.longMode(APIC_ON + "FB E660 90 90 E660 90 90 E6F4 F4");
      machine.run();
      assertThat(machine.log)
          .containsExactly(
              "out 60/1=0", "vector 59", "end of 59", "out 60/1=0", "vector 59", "end of 59");
    }
  }

  @Test
  void theLegacyLineAsksForItsVector() {
    try (var machine = new TestMachine(engine)) {
      machine.externalVector = 0x38;
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              machine.partition.setExternalInterrupt(true);
            }
          };
      // mov dword [APIC + 0x350], 0x700 (LINT0: ExtINT); out 0x60, al; nop; out 0x61, al
      // mov dword [APIC + 0x350], 0x700 (LINT0: ExtINT); out 0x60, al; nop; out 0x61, al
      // sti; mov ecx, 10; in al, 0x64; dec ecx; jnz; cli; out END, al. The reads are for a KVM that
      // does not stop by itself when the guest opens its flags.
      machine.longMode(
          APIC_ON + "C704255003400000070000 E660 90 E661 FB B90A000000 E464 FFC9 75FA FA E6F4 F4");
      machine.run();
      machine.log.removeIf("in 64/1"::equals);
      assertThat(machine.log)
          .containsExactly("out 60/1=0", "out 61/1=0", "acknowledge", "vector 38");
    }
  }

  @Test
  void aNonMaskableInterruptComesThroughClosedFlags() {
    try (var machine = new TestMachine(engine)) {
      machine.hook =
          (processor, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              processor.requestNmi();
            }
          };
      // out 0x60, al; nop; nop; out 0x61, al; out END, al
      machine.longMode("E660 90 90 E661 E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("out 60/1=0", "vector 2", "out 61/1=0");
    }
  }

  @Test
  void theLocalApicsTimerFires() {
    try (var machine = new TestMachine(engine)) {
      // divide by 1 (0x3E0 = 0xB); LVT timer 0x320 = one-shot, vector 0x40; count 0x380 = 100000
      // sti; hlt; cli; out END, al
      machine.longMode(
          APIC_ON
              + "C70425E00340000B000000 C704252003400040000000 C7042580034000A0860100"
              + "FB F4 FA E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("vector 40");
    }
  }

  // ---- User mode

  /// push USER_DATA; push STACK; push 2; push USER_CODE64; push 0xA000; iretq
  private static final String TO_USER = "6A1B 6800700000 6A02 6A23 6800A00000 48CF";

  @Test
  void aUserProgramRunsUntilItFaults() {
    try (var machine = new TestMachine(engine)) {
      // mov ecx, 1000; mov eax, ecx; imul eax, ecx; add ebx, eax; dec ecx; jnz; ud2
      machine.code(0xA000, "B9E8030000 89C8 0FAFC1 01C3 FFC9 75F5 0F0B");
      machine.longMode("31DB" + TO_USER);
      machine.run();
      assertThat(machine.log).containsExactly("vector 6");
      // The sum of the squares from 1 to 1000.
      assertThat(machine.processor().state().general()[ProcessorState.RBX]).isEqualTo(333_833_500L);
    }
  }

  @Test
  void aUserProgramCallsTheKernelByASoftwareInterrupt() {
    needsWorkingKvm("INT in user mode is an invalid opcode here");
    try (var machine = new TestMachine(engine)) {
      // int 0x80
      machine.code(0xA000, "CD80");
      machine.longMode(TO_USER);
      machine.run();
      assertThat(machine.log).containsExactly("vector 80");
    }
  }

  @Test
  void aUserProgramReachesPortsThatItMayUse() {
    needsWorkingKvm("the I/O privilege level is ignored here");
    try (var machine = new TestMachine(engine)) {
      var modes = new ArrayList<String>();
      machine.hook =
          (processor, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x77) {
              modes.add(processor.mode() + " " + processor.privilegeLevel());
            }
          };
      // out 0x77, al; out END, al
      machine.code(0xA000, "E677 E6F4 EBFE");
      // push USER_DATA; push STACK; push 0x3002 (IOPL 3); push USER_CODE64; push 0xA000; iretq
      machine.longMode("6A1B 6800700000 6802300000 6A23 6800A00000 48CF");
      machine.run();
      assertThat(machine.log).containsExactly("out 77/1=0");
      assertThat(modes).containsExactly("LONG 3");
    }
  }

  // ---- Ends

  @Test
  void aTripleFaultIsToldWithRegistersAndCode() {
    try (var machine = new TestMachine(engine)) {
      // lidt [DATA] (limit 0); mov ebx, 0x1234; ud2
      machine.longMode("0F011C2500000200 BB34120000 0F0B");
      assertThat(machine.run()).isEqualTo(RunExit.SHUTDOWN);
      var shutdown = machine.shutdown;
      assertThat(shutdown).isNotNull();
      if (shutdown != null) {
        assertThat(shutdown.reason()).isEqualTo(Intercept.Shutdown.Reason.TRIPLE_FAULT);
        assertThat(shutdown.state().general()[ProcessorState.RBX]).isEqualTo(0x1234);
        assertThat(shutdown.state().rip()).isEqualTo(TestMachine.CODE + 13);
        assertThat(shutdown.code()).startsWith(0x0F, 0x0B);
      }
    }
  }

  @Test
  void aProcessorThatLoopsOrHaltsForEverIsCancelled() throws Exception {
    try (var machine = new TestMachine(engine)) {
      for (var code : List.of("E660 EBFE", "E660 FA F4 EBFD")) {
        var about = new CountDownLatch(1);
        machine.hook = (_, _) -> about.countDown();
        machine.longMode(code);
        var runner = machine.start(machine.processor());
        assertThat(about.await(60, TimeUnit.SECONDS)).isTrue();
        machine.processor().cancel();
        assertThat(runner.join()).isEqualTo(RunExit.CANCELLED);
      }
    }
  }

  @Test
  void aCancelBeforeTheRunCounts() {
    try (var machine = new TestMachine(engine)) {
      machine.longMode("EBFE");
      machine.processor().cancel();
      assertThat(machine.processor().run((_, _) -> {})).isEqualTo(RunExit.CANCELLED);
    }
  }

  @Test
  void closingCancelsARun() throws Exception {
    TestMachine.Runner runner;
    try (var machine = new TestMachine(engine)) {
      var about = new CountDownLatch(1);
      machine.hook = (_, _) -> about.countDown();
      machine.longMode("E660 EBFE");
      runner = machine.start(machine.processor());
      assertThat(about.await(60, TimeUnit.SECONDS)).isTrue();
      machine.partition.close();
      assertThat(runner.join()).isEqualTo(RunExit.CANCELLED);
    }
  }

  // ---- More processors

  @Test
  void anApplicationProcessorWaitsForItsStartup() {
    try (var machine = new TestMachine(engine, 2, List.of())) {
      var second = machine.partition.processors().get(1);
      assertThat(second.state().events().activity())
          .isEqualTo(ProcessorState.Activity.WAIT_FOR_SIPI);
      // In real mode at 0x9000: mov ax, cs; out 0x70, ax; cpuid leaf 1: mov eax, 1; cpuid;
      // shr ebx, 24; mov eax, ebx; out 0x71, eax; out END, al; hlt
      machine.code(0x9000, "8CC8 E770 66B801000000 0FA2 66C1EB18 6689D8 66E771 E6F4 F4");
      var runner = machine.start(second);
      // ICR high = 1 << 24; ICR low = INIT, then start-up at 0x9000
      machine.longMode(
          APIC_ON
              + "C704251003400000000001 C704250003400000450000 C704250003400009460000"
              + "E6F4 F4");
      machine.run();
      assertThat(runner.join()).isEqualTo(RunExit.CANCELLED);
      assertThat(machine.log).containsExactly("out 70/2=900", "out 71/4=1");
    }
  }

  @Test
  void aProcessorInterruptsAnother() throws Exception {
    try (var machine = new TestMachine(engine, 2, List.of())) {
      var ready = new Semaphore(0);
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x72) {
              ready.release();
            }
          };
      // The second: out 0x72, al; sti; hlt; cli; out END, al
      machine.code(0xA000, APIC_ON + "E672 FB F4 FA E6F4 F4");
      // The first: mov dword [APIC + 0x310], 1 << 24; mov dword [APIC + 0x300], 0x4041
      // out END, al
      machine.longMode(APIC_ON + "C704251003400000000001 C704250003400041400000 E6F4 F4");
      var second = machine.partition.processors().get(1);
      second.setState(TestMachine.at(0xA000, 0x1_B000));
      var runner = machine.start(second);
      assertThat(ready.tryAcquire(60, TimeUnit.SECONDS)).isTrue();
      machine.run();
      runner.join();
      assertThat(machine.log).containsExactly("out 72/1=0", "vector 41");
    }
  }

  // ---- Time

  @Test
  void theTimeStampCounterIsTheOneTheOwnerReads() {
    needsWorkingKvm("offsets of the time stamp counter are ignored here");
    try (var machine = new TestMachine(engine)) {
      // rdtsc; mov [DATA], eax; mov [DATA + 4], edx; out END, al
      machine.longMode("0F31 89042500000200 89142504000200 E6F4 F4");
      long before = machine.processor().readTsc();
      machine.run();
      long inside = machine.memory.readLong(TestMachine.DATA);
      assertThat(inside).isBetween(before, machine.processor().readTsc());
    }
  }

  @Test
  void theOwnersTimeStampCounterNeverGoesBack() {
    try (var machine = new TestMachine(engine)) {
      var readings = new ArrayList<Long>();
      machine.hook = (processor, _) -> readings.add(processor.readTsc());
      readings.add(machine.processor().readTsc());
      machine.longMode("E660 E660 E660 E6F4 F4");
      readings.set(0, machine.processor().readTsc());
      machine.run();
      readings.add(machine.processor().readTsc());
      assertThat(readings).hasSize(6).isSorted();
    }
  }

  @Test
  void anotherThreadReadsTheTimeStampCounterWhileTheGuestRuns() throws Exception {
    try (var machine = new TestMachine(engine)) {
      var about = new CountDownLatch(1);
      machine.hook = (_, _) -> about.countDown();
      machine.longMode("E660 EBFE");
      long before = machine.processor().readTsc();
      var runner = machine.start(machine.processor());
      assertThat(about.await(60, TimeUnit.SECONDS)).isTrue();
      long during = machine.processor().readTsc();
      machine.processor().cancel();
      runner.join();
      assertThat(during).isBetween(before, machine.processor().readTsc());
    }
  }

  // ---- State

  @Test
  void stateIsThatOfTheLastWholeInstruction() {
    try (var machine = new TestMachine(engine)) {
      machine.ports.put(0x10, 0x42);
      VirtualProcessor processor = machine.processor();
      machine.hook =
          (p, intercept) -> {
            if (intercept instanceof Intercept.PortRead) {
              p.cancel();
            }
          };
      // in al, 0x10; jmp to the next; out END, al
      machine.longMode("E410 EB00 E6F4 F4");
      assertThat(machine.run()).isEqualTo(RunExit.CANCELLED);
      var state = processor.state();
      assertThat(state.general()[ProcessorState.RAX]).isEqualTo(0x42);
      // An engine may go on to the end of a block.
      assertThat(state.rip()).isBetween(TestMachine.CODE + 2, TestMachine.CODE + 4);
    }
  }
}
