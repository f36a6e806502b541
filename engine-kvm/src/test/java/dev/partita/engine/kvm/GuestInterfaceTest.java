package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.enlightenment.EventPort;
import dev.partita.enlightenment.MessagePort;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ProcessorState;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// Guests that use the Hyper-V interface, the same on every engine.
@ParameterizedClass
@MethodSource("dev.partita.engine.kvm.TestEngines#all")
class GuestInterfaceTest {
  private static final int GUEST_OS_ID = 0x4000_0000;
  private static final int HYPERCALL = 0x4000_0001;
  private static final int VP_INDEX = 0x4000_0002;
  private static final int TIME_REF_COUNT = 0x4000_0020;
  private static final int REFERENCE_TSC = 0x4000_0021;
  private static final int SCONTROL = 0x4000_0080;
  private static final int SIEFP = 0x4000_0082;
  private static final int SIMP = 0x4000_0083;
  private static final int EOM = 0x4000_0084;
  private static final int SINT2 = 0x4000_0092;
  private static final int STIMER0_CONFIG = 0x4000_00B0;
  private static final int STIMER0_COUNT = 0x4000_00B1;

  private static final long CALL_PAGE = 0x3_0000;
  private static final long MESSAGES = 0x3_1000;
  private static final long EVENTS = 0x3_2000;
  private static final long TSC_PAGE = 0x3_3000;
  private static final long INPUT = 0x3_4000;
  private static final long USER = 0xA000;

  /// Slot of SINT2 in the page of messages, and its flags in the page of events.
  private static final long SLOT = MESSAGES + 0x200;

  private static final long FLAGS = EVENTS + 0x200;

  private static final String END = "E6F4 F4";

  /// mov dword [APIC + 0xF0], 0x1FF: the local APIC on.
  private static final String APIC_ON = "C70425F0004000FF010000";

  private static final long SECONDS = 60;

  @Parameter Engine engine = new SoftwareEngine();

  @BeforeEach
  void engineIsThere() {
    TestEngines.assumeThere(engine);
  }

  private TestMachine machine(int processors) {
    return TestMachine.enlightened(engine, processors, engine.supportedCpuid());
  }

  // ---- What guests are made of

  private static String int32(long value) {
    return HexFormat.of().toHexDigits(Integer.reverseBytes((int) value));
  }

  private static String int64(long value) {
    return HexFormat.of().toHexDigits(Long.reverseBytes(value));
  }

  /// mov ecx, index; mov eax, value; mov edx, value >> 32; wrmsr
  private static String wrmsr(int index, long value) {
    return "B9" + int32(index) + "B8" + int32(value) + "BA" + int32(value >>> 32) + "0F30";
  }

  /// mov ecx, index; rdmsr; mov [at], eax; mov [at + 4], edx
  private static String rdmsr(int index, long at) {
    return "B9" + int32(index) + "0F32" + "890425" + int32(at) + "891425" + int32(at + 4);
  }

  /// mov rcx, control; mov rdx, input; mov r8, output; mov rbx, CALL_PAGE; call rbx
  /// mov [at], rax
  private static String hypercall(long control, long input, long output, long at) {
    return ("48B9" + int64(control) + "48BA" + int64(input) + "49B8" + int64(output))
        + ("48BB" + int64(CALL_PAGE) + "FFD3")
        + ("48890425" + int32(at));
  }

  private static final String IDENTIFIED =
      wrmsr(GUEST_OS_ID, 0x8100_0006_01C0_0000L) + wrmsr(HYPERCALL, CALL_PAGE | 1);

  /// With SINT2 on vector 0x42.
  private static final String SYNIC_ON =
      APIC_ON
          + wrmsr(GUEST_OS_ID, 0x8100_0006_01C0_0000L)
          + wrmsr(SIMP, MESSAGES | 1)
          + wrmsr(SIEFP, EVENTS | 1)
          + wrmsr(SINT2, 0x42)
          + wrmsr(SCONTROL, 1);

  // ---- Hypercalls

  @Test
  void theHypercallPageIsFilledAndAnswers() {
    try (var machine = machine(1)) {
      machine.longMode(
          IDENTIFIED
              + rdmsr(HYPERCALL, TestMachine.DATA)
              + hypercall(0x7777, 0, 0, TestMachine.DATA + 8)
              + hypercall(0x5D, INPUT + 1, 0, TestMachine.DATA + 16)
              + END);
      machine.run();
      assertThat(machine.shutdown).isNull();
      assertThat(machine.log).isEmpty();
      assertThat(machine.memory.readLong(TestMachine.DATA)).isEqualTo(CALL_PAGE | 1);
      // HV_STATUS_INVALID_HYPERCALL_CODE, HV_STATUS_INVALID_ALIGNMENT.
      assertThat(machine.memory.readLong(TestMachine.DATA + 8)).isEqualTo(2);
      assertThat(machine.memory.readLong(TestMachine.DATA + 16)).isEqualTo(4);
      assertThat(machine.memory.readInt(CALL_PAGE)).as("endbr64").isEqualTo(0xFA1E_0FF3);
    }
  }

  @Test
  void aMessageArrivesWithItsPayload() {
    try (var machine = machine(1)) {
      var taken = new ArrayList<String>();
      machine
          .enlightenment()
          .synic()
          .connect(
              1,
              (MessagePort)
                  (type, payload) -> {
                    taken.add("%d %s".formatted(type, HexFormat.of().formatHex(payload)));
                    return MessagePort.Answer.ACCEPTED;
                  });
      machine.memory.writeInt(INPUT, 1);
      machine.memory.writeInt(INPUT + 8, 77);
      machine.memory.writeInt(INPUT + 12, 5);
      machine.memory.writeLong(INPUT + 16, 0x55_4433_2211L);
      machine.longMode(
          IDENTIFIED
              + hypercall(0x5C, INPUT, 0, TestMachine.DATA)
              // Connection 2, which is not there.
              + ("C70425" + int32(INPUT) + int32(2))
              + hypercall(0x5C, INPUT, 0, TestMachine.DATA + 8)
              + END);
      machine.run();
      assertThat(taken).containsExactly("77 1122334455");
      assertThat(machine.memory.readLong(TestMachine.DATA)).isZero();
      assertThat(machine.memory.readLong(TestMachine.DATA + 8)).isEqualTo(0x12);
    }
  }

  @Test
  void aFastSignalRingsWhatIsConnectedAndAnswersSuccess() throws Exception {
    try (var machine = machine(1)) {
      var bell = new Semaphore(0);
      var flags = new ArrayList<Integer>();
      machine.enlightenment().synic().connectDoorbell(0x2001, bell::release);
      machine.enlightenment().synic().connect(0x2002, (EventPort) flags::add);
      machine.longMode(
          IDENTIFIED
              + hypercall(0x1_005D, 0x2001, 0, TestMachine.DATA)
              + hypercall(0x1_005D, 0x9_0000_2002L, 0, TestMachine.DATA + 8)
              + END);
      machine.memory.writeLong(TestMachine.DATA, -1);
      machine.memory.writeLong(TestMachine.DATA + 8, -1);
      machine.run();
      assertThat(bell.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(flags).containsExactly(9);
      assertThat(machine.memory.readLong(TestMachine.DATA)).isZero();
      assertThat(machine.memory.readLong(TestMachine.DATA + 8)).isZero();
      assertThat(machine.log).isEmpty();
    }
  }

  @Test
  void aSlowSignalRingsToo() throws Exception {
    try (var machine = machine(1)) {
      var bell = new Semaphore(0);
      machine.enlightenment().synic().connectDoorbell(0x2001, bell::release);
      machine.memory.writeLong(INPUT, 0x2001);
      machine.longMode(IDENTIFIED + hypercall(0x5D, INPUT, 0, TestMachine.DATA) + END);
      machine.run();
      assertThat(bell.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(machine.memory.readLong(TestMachine.DATA)).isZero();
    }
  }

  @Test
  void aDisconnectedDoorbellIsAnUnknownConnection() {
    try (var machine = machine(1)) {
      var synic = machine.enlightenment().synic();
      synic.connectDoorbell(
          0x2001,
          () -> {
            throw new AssertionError("rang");
          });
      synic.disconnectEvents(0x2001);
      machine.memory.writeLong(INPUT, 0x2001);
      machine.longMode(
          IDENTIFIED
              + hypercall(0x5D, INPUT, 0, TestMachine.DATA)
              + hypercall(0x1_005D, 0x2001, 0, TestMachine.DATA + 8)
              + END);
      machine.run();
      assertThat(machine.memory.readLong(TestMachine.DATA)).isEqualTo(0x12);
      assertThat(machine.log).isEmpty();
      synic.connectDoorbell(0x2001, () -> {});
    }
  }

  // ---- Processors

  @Test
  void eachProcessorHasItsIndex() {
    try (var machine = machine(2)) {
      var code = rdmsr(VP_INDEX, TestMachine.DATA) + END;
      machine.longMode(code);
      machine.run();
      assertThat(machine.memory.readLong(TestMachine.DATA)).isZero();
      var second = machine.partition.processors().get(1);
      second.setState(TestMachine.longModeState());
      machine.run(second);
      assertThat(machine.memory.readLong(TestMachine.DATA)).isEqualTo(1);
    }
  }

  // ---- Messages and events to the guest

  @Test
  void aMessageInterruptsAndTheNextOneWaitsForTheSlot() {
    try (var machine = machine(1)) {
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              var synic = machine.enlightenment().synic();
              assertThat(synic.post(0, 2, 0x111, 5, new byte[] {1, 2, 3, 4})).isTrue();
              assertThat(synic.post(0, 2, 0x222, 6, new byte[] {5, 6, 7, 8})).isTrue();
            }
          };
      // For each: sti; hlt; cli; mov eax, [SLOT]; out 0x61, eax; mov eax, [SLOT + 16]
      // out 0x61, eax; mov dword [SLOT], 0; then EOM.
      var take =
          "FB F4 FA 8B0425"
              + int32(SLOT)
              + "E761 8B0425"
              + int32(SLOT + 16)
              + "E761 C70425"
              + int32(SLOT)
              + int32(0)
              + wrmsr(EOM, 0);
      machine.longMode(SYNIC_ON + "E660" + take + take + END);
      machine.run();
      assertThat(machine.shutdown).isNull();
      assertThat(machine.log)
          .containsExactly(
              "out 60/1=1",
              "vector 42",
              "out 61/4=111",
              "out 61/4=4030201",
              "vector 42",
              "out 61/4=222",
              "out 61/4=8070605");
    }
  }

  @Test
  void aMessageFromAnotherThreadWakesTheProcessor() throws Exception {
    try (var machine = machine(1)) {
      var ready = new Semaphore(0);
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              ready.release();
            }
          };
      machine.longMode(SYNIC_ON + "E660 FB F4 FA" + END);
      var runner = machine.start(machine.processor());
      assertThat(ready.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
      machine.enlightenment().synic().post(0, 2, 1, 0, new byte[8]);
      runner.join();
      assertThat(machine.log).containsExactly("out 60/1=1", "vector 42");
    }
  }

  @Test
  void anEventSetsItsFlagAndInterruptsOnce() {
    try (var machine = machine(1)) {
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == 0x60) {
              machine.enlightenment().synic().signalEvent(0, 2, 70);
              machine.enlightenment().synic().signalEvent(0, 2, 70);
            }
          };
      // sti; hlt; cli; out 0x60, al; lock btr dword [FLAGS + 8], 6; setc al; out 0x61, al
      // sti; nop; nop; cli
      machine.longMode(
          SYNIC_ON
              + "E660 FB F4 FA E660 F00FBA3425"
              + int32(FLAGS + 8)
              + "06 0F92C0 E661 FB 90 90 FA"
              + END);
      machine.run();
      assertThat(machine.shutdown).isNull();
      assertThat(machine.log)
          .containsExactly("out 60/1=1", "vector 42", "out 60/1=1", "out 61/1=1");
      assertThat(machine.memory.readLong(FLAGS + 8)).isZero();
    }
  }

  // ---- Timers and time

  @Test
  void aTimerWhoseTimeIsOverInterruptsAtOnce() {
    try (var machine = machine(1)) {
      // Direct mode, vector 0x44, auto-enable; count 1: long ago.
      machine.longMode(
          SYNIC_ON
              + wrmsr(STIMER0_CONFIG, 1 << 12 | 0x44 << 4 | 1 << 3)
              + wrmsr(STIMER0_COUNT, 1)
              + "FB F4 FA"
              + END);
      machine.run();
      assertThat(machine.log).containsExactly("vector 44");
    }
  }

  @Test
  void aTimerInterruptsNotBeforeItsTime() {
    try (var machine = machine(1)) {
      // Now and 5 ms: rdmsr; add eax, 50000; adc edx, 0; then as the count.
      machine.longMode(
          SYNIC_ON
              + wrmsr(STIMER0_CONFIG, 1 << 12 | 0x44 << 4 | 1 << 3)
              + ("B9" + int32(TIME_REF_COUNT) + "0F32 0550C30000 83D200")
              + ("890425" + int32(TestMachine.DATA) + "891425" + int32(TestMachine.DATA + 4))
              + ("B9" + int32(STIMER0_COUNT) + "0F30")
              + "FB F4 FA"
              + rdmsr(TIME_REF_COUNT, TestMachine.DATA + 8)
              + END);
      machine.run();
      assertThat(machine.log).containsExactly("vector 44");
      assertThat(machine.memory.readLong(TestMachine.DATA + 8))
          .isGreaterThanOrEqualTo(machine.memory.readLong(TestMachine.DATA));
    }
  }

  @Test
  void aPeriodicTimerSendsMessages() {
    try (var machine = machine(1)) {
      // Periodic, auto-enable, SINT2; every 2 ms. Three times: sti; hlt; cli;
      // mov eax, [SLOT]; out 0x61, eax; mov dword [SLOT], 0; EOM.
      var take =
          "FB F4 FA 8B0425" + int32(SLOT) + "E761 C70425" + int32(SLOT) + int32(0) + wrmsr(EOM, 0);
      machine.longMode(
          SYNIC_ON
              + wrmsr(STIMER0_CONFIG, 2 << 16 | 1 << 3 | 1 << 1)
              + wrmsr(STIMER0_COUNT, 20_000)
              + take.repeat(3)
              + wrmsr(STIMER0_CONFIG, 0)
              + END);
      machine.run();
      assertThat(machine.shutdown).isNull();
      assertThat(machine.log.subList(0, 6))
          .containsExactly(
              "vector 42",
              "out 61/4=80000010",
              "vector 42",
              "out 61/4=80000010",
              "vector 42",
              "out 61/4=80000010");
    }
  }

  @Test
  void theReferenceCounterNeverGoesBack() {
    try (var machine = machine(1)) {
      var all = new StringBuilder();
      for (int i = 0; i < 20; i++) {
        all.append(rdmsr(TIME_REF_COUNT, TestMachine.DATA + 8 * i));
      }
      machine.longMode(all + END);
      machine.run();
      var seen = new ArrayList<Long>();
      for (int i = 0; i < 20; i++) {
        seen.add(machine.memory.readLong(TestMachine.DATA + 8L * i));
      }
      assertThat(seen).isSorted();
    }
  }

  @Test
  void theReferencePageAgreesWithTheCounter() {
    TestEngines.assumeWorkingKvm(engine, "offsets of the time stamp counter are ignored here");
    try (var machine = machine(1)) {
      // rdtsc; shl rdx, 32; or rax, rdx; mul qword [TSC_PAGE + 8]; add rdx, [TSC_PAGE + 16]
      // mov [DATA], rdx
      machine.longMode(
          wrmsr(GUEST_OS_ID, 0x8100_0006_01C0_0000L)
              + wrmsr(REFERENCE_TSC, TSC_PAGE | 1)
              + ("0F31 48C1E220 4809D0 48F72425" + int32(TSC_PAGE + 8))
              + ("48031425" + int32(TSC_PAGE + 16) + "48891425" + int32(TestMachine.DATA))
              + rdmsr(TIME_REF_COUNT, TestMachine.DATA + 8)
              + END);
      machine.run();
      assertThat(machine.memory.readInt(TSC_PAGE)).as("sequence").isNotZero();
      // Within a second of each other, and in this order.
      assertThat(machine.memory.readLong(TestMachine.DATA + 8))
          .isBetween(
              machine.memory.readLong(TestMachine.DATA),
              machine.memory.readLong(TestMachine.DATA) + 10_000_000);
    }
  }

  // ---- User mode

  @Test
  void userModeMakesNoHypercalls() {
    TestEngines.assumeWorkingKvm(engine, "ports and hypercalls of user mode fault otherwise here");
    try (var machine = machine(1)) {
      // As hypercall(0x7777, ...) but at level 3, where the port is out of bounds.
      machine.code(USER, "B877770000 E7E0" + END);
      // push USER_DATA; push STACK; push 2; push USER_CODE64; push USER; iretq
      machine.longMode(IDENTIFIED + "6A1B 6800700000 6A02 6A23 6800A00000 48CF");
      machine.run();
      assertThat(machine.log).isEqualTo(List.of("vector d"));
      assertThat(machine.processor().state().general()[ProcessorState.RAX] & 0xFFFF_FFFFL)
          .isEqualTo(0x7777);
    }
  }
}
