package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.Doorbells;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Intercept;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// Port writes that ring instead of coming to the handler, on every engine.
@ParameterizedClass
@MethodSource("dev.partita.engine.kvm.TestEngines#all")
class DoorbellsTest {
  private static final int PORT = 0xE1;
  private static final long SECONDS = 60;

  @Parameter Engine engine = new SoftwareEngine();

  @BeforeEach
  void engineIsThere() {
    TestEngines.assumeThere(engine);
  }

  private static Doorbells doorbells(TestMachine machine) {
    return machine.partition.doorbells().orElseThrow();
  }

  private static void add(TestMachine machine, int value, Runnable ring) {
    assertThat(doorbells(machine).add(PORT, 4, value, ring)).isPresent();
  }

  @Test
  void aWriteOfTheValueRingsAndIsNoIntercept() throws Exception {
    try (var machine = new TestMachine(engine)) {
      var rung = new Semaphore(0);
      var seen = new AtomicLong();
      add(
          machine,
          0x2001,
          () -> {
            seen.set(machine.memory.readLong(TestMachine.DATA));
            rung.release();
          });
      // mov rbx, 0x1122334455667788; mov [DATA], rbx; mov eax, 0x2001; out PORT, eax
      // out PORT, al; out PORT, ax; mov eax, 0x2002; out PORT, eax; out END, al
      machine.longMode(
          "48BB8877665544332211 48891C2500000200 B801200000 E7E1"
              + "E6E1 66E7E1 B802200000 E7E1 E6F4 F4");
      machine.run();
      assertThat(rung.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(seen.get()).isEqualTo(0x1122_3344_5566_7788L);
      assertThat(machine.log).containsExactly("out e1/1=1", "out e1/2=2001", "out e1/4=2002");
      assertThat(rung.availablePermits()).isZero();
      assertThat(machine.processor().counters()).containsEntry("doorbells", 1L);
    }
  }

  @Test
  void theProcessorGoesOnWithoutWaitingForAnAnswer() throws Exception {
    try (var machine = new TestMachine(engine)) {
      var rung = new Semaphore(0);
      add(machine, 7, rung::release);
      // mov ecx, 1000; mov eax, 7; out PORT, eax; dec ecx; jnz; out END, al
      machine.longMode("B9E8030000 B807000000 E7E1 FFC9 75FA E6F4 F4");
      machine.run();
      // Signals that follow each other closely may be one, but the last one is never lost.
      assertThat(rung.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(machine.log).isEmpty();
      assertThat(machine.shutdown).isNull();
    }
  }

  @Test
  void everyBellRingsForItself() throws Exception {
    int count = 200;
    try (var machine = new TestMachine(engine)) {
      var rung = new Semaphore[count];
      for (int i = 0; i < count; i++) {
        rung[i] = new Semaphore(0);
        add(machine, 0x2000 + i, rung[i]::release);
      }
      // mov ecx, 200; lea eax, [rcx + 0x1FFF]; out PORT, eax; dec ecx; jnz; out END, al
      machine.longMode("B9C8000000 8D81FF1F0000 E7E1 FFC9 75F4 E6F4 F4");
      machine.run();
      for (var bell : rung) {
        assertThat(bell.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
      }
      assertThat(machine.log).isEmpty();
    }
  }

  @Test
  void aClosedBellIsAnInterceptAgain() {
    try (var machine = new TestMachine(engine)) {
      var bell =
          doorbells(machine)
              .add(
                  PORT,
                  4,
                  7,
                  () -> {
                    throw new AssertionError("rang");
                  })
              .orElseThrow();
      bell.close();
      bell.close();
      machine.longMode("B807000000 E7E1 E6F4 F4");
      machine.run();
      assertThat(machine.log).containsExactly("out e1/4=7");
    }
  }

  @Test
  void aBellMayComeAndGoWhileTheGuestRings() throws Exception {
    try (var machine = new TestMachine(engine)) {
      var rung = new Semaphore(0);
      var intercepted = new Semaphore(0);
      machine.hook =
          (_, intercept) -> {
            if (intercept instanceof Intercept.PortWrite write && write.port == PORT) {
              intercepted.release();
            }
          };
      // mov eax, 7; out PORT, eax; jmp
      machine.longMode("B807000000 E7E1 EBFC");
      var runner = machine.start(machine.processor());
      for (int i = 0; i < 20; i++) {
        assertThat(intercepted.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
        try (var _ = doorbells(machine).add(PORT, 4, 7, rung::release).orElseThrow()) {
          rung.drainPermits();
          assertThat(rung.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
        }
        intercepted.drainPermits();
        machine.log.clear();
      }
      machine.processor().cancel();
      runner.join();
    }
  }

  @Test
  void twoBellsForOneWriteAreADefect() {
    try (var machine = new TestMachine(engine)) {
      add(machine, 7, () -> {});
      assertThatThrownBy(() -> doorbells(machine).add(PORT, 4, 7, () -> {}))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("0x7");
      assertThat(doorbells(machine).add(PORT, 4, 8, () -> {})).isPresent();
    }
  }

  @Test
  void aBellMayCloseItselfWhileItRings() throws Exception {
    var rung = new Semaphore(0);
    var machine = new TestMachine(engine);
    try (machine) {
      var bell = new Doorbells.Doorbell[1];
      bell[0] =
          doorbells(machine)
              .add(
                  PORT,
                  4,
                  7,
                  () -> {
                    bell[0].close();
                    rung.release();
                  })
              .orElseThrow();
      machine.longMode("B807000000 E7E1 E6F4 F4");
      machine.run();
      assertThat(rung.tryAcquire(SECONDS, TimeUnit.SECONDS)).isTrue();
    }
    assertThat(machine.log).isEmpty();
  }
}
