package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.RunExit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What the owner is told when KVM cannot go on.
class KvmEventsTest {
  private final KvmEngine engine = new KvmEngine();

  @BeforeEach
  void kvmIsThere() {
    TestEngines.assumeThere(engine);
  }

  private static Intercept.Shutdown shutdown(TestMachine machine) {
    var shutdown = machine.shutdown;
    if (shutdown == null) {
      throw new AssertionError("no event");
    }
    return shutdown;
  }

  @Test
  void codeWhereThereIsNoMemoryIsAnEventWithRegisters() {
    try (var machine = new TestMachine(engine)) {
      // mov ebx, 0x1234; mov eax, MMIO; jmp rax
      machine.longMode("BB34120000 B800002000 FFE0");
      assertThat(machine.run()).isEqualTo(RunExit.SHUTDOWN);
      var event = shutdown(machine);
      assertThat(event.reason()).isEqualTo(Intercept.Shutdown.Reason.UNSUPPORTED);
      assertThat(event.detail()).startsWith("KVM cannot emulate an instruction");
      assertThat(event.state().rip()).isEqualTo(TestMachine.MMIO);
      assertThat(event.state().general()[3]).isEqualTo(0x1234);
      assertThat(event.code()).isEmpty();
    }
  }

  @Test
  void anInstructionThatASlowKvmDoesNotHaveIsToldWithTheWayOut() {
    assumeFalse(engine.selfTest().works(), "skipped: this host's KVM has all instructions");
    try (var machine = new TestMachine(engine)) {
      // lock cmpxchg16b [DATA], one of the first that such a KVM does not have in a kernel's boot
      machine.longMode("F0480FC70C2500000200");
      assertThat(machine.run()).isEqualTo(RunExit.SHUTDOWN);
      var event = shutdown(machine);
      assertThat(event.reason()).isEqualTo(Intercept.Shutdown.Reason.UNSUPPORTED);
      assertThat(event.detail()).contains("f0 48 0f c7").endsWith(": use --engine software");
      assertThat(event.state().rip()).isEqualTo(TestMachine.CODE);
      assertThat(event.code())
          .startsWith((byte) 0xF0, (byte) 0x48, (byte) 0x0F, (byte) 0xC7)
          .hasSize(15);
    }
  }
}
