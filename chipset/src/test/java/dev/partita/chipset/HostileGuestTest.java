package dev.partita.chipset;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.partita.chipset.acpi.MmioWindow;
import dev.partita.chipset.device.SerialPort;
import dev.partita.chipset.power.PowerListener;
import dev.partita.hypervisor.Intercept;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Random accesses to everything a guest can reach: nothing may throw, hang or leave a state that
/// cannot be saved and restored.
class HostileGuestTest {
  private static final int[][] PORTS = {
    {0x20, 0x22}, {0x40, 0x44}, {0x60, 0x65}, {0x70, 0x72}, {0x80, 0x81}, {0x92, 0x93},
    {0xA0, 0xA2}, {0x2F8, 0x300}, {0x3F8, 0x400}, {0x400, 0x40C}, {0x4D0, 0x4D2}, {0xCF8, 0xD00},
    {0, 0x10000}
  };

  private static final int[] SIZES = {1, 2, 4};
  private static final int[] MMIO_SIZES = {1, 2, 4, 8};

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  @Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void noAccessDoesHarm(long seed) {
    var random = new Random(new SplittableRandom(seed).nextLong());
    try (var partition = new TestPartition(3);
        var board = board(partition)) {
      board.start();
      for (int i = 0; i < 100_000; i++) {
        int step = i;
        assertThatCode(() -> step(random, partition, board, random.nextInt(3)))
            .as("seed %d, step %d", seed, step)
            .doesNotThrowAnyException();
        if (i % 10_000 == 0) {
          roundTrip(partition, board);
        }
      }
    }
  }

  private static Motherboard board(TestPartition partition) {
    return new Motherboard(
        partition,
        new MotherboardConfiguration(
            Map.of(SerialPort.COM1, value -> {}, SerialPort.COM2, value -> {}),
            List.of(MmioWindow.LOW),
            true),
        new PowerListener() {
          @Override
          public void poweredOff() {}

          @Override
          public void resetRequested(ResetCause cause) {}
        });
  }

  /// All processors at the same time: no deadlock, and no exception in any.
  @Test
  @Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void processorsDoNotBlockEachOther() throws InterruptedException {
    var failures = new ConcurrentLinkedQueue<Throwable>();
    try (var partition = new TestPartition(3);
        var board = board(partition)) {
      board.start();
      var threads = new ArrayList<Thread>();
      for (int i = 0; i < 3; i++) {
        int processor = i;
        var random = new Random(processor);
        threads.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      try {
                        for (int n = 0; n < 50_000; n++) {
                          step(random, partition, board, processor);
                        }
                      } catch (RuntimeException | AssertionError e) {
                        failures.add(e);
                      }
                    }));
      }
      for (var thread : threads) {
        thread.join();
      }
      assertThat(failures).isEmpty();
      roundTrip(partition, board);
    }
  }

  private static long interesting(Random random) {
    return switch (random.nextInt(5)) {
      case 0 -> random.nextInt(256);
      case 1 -> 1L << random.nextInt(64);
      case 2 -> -1L >>> random.nextInt(64);
      case 3 -> 0;
      default -> random.nextLong();
    };
  }

  private static void step(
      Random random, TestPartition partition, Motherboard board, int processor) {
    var cpu = partition.cpus.get(processor);
    var apic = partition.apics.get(cpu.index());
    var range = PORTS[random.nextInt(PORTS.length)];
    int port = range[0] + random.nextInt(range[1] - range[0]);
    int size = SIZES[random.nextInt(3)];
    switch (random.nextInt(16)) {
      case 0, 1, 2 -> {
        var read = new Intercept.PortRead().prepare(port, size);
        board.handle(cpu, read);
        if (size < 4) {
          assertThat(read.value >>> 8 * size).isZero();
        }
      }
      case 3, 4, 5, 6 ->
          board.handle(
              cpu, new Intercept.PortWrite().prepare(port, size, (int) interesting(random)));
      case 7 ->
          board.handle(
              new Intercept.MmioRead()
                  .prepare(0xFEC0_0000L + random.nextInt(0x50), MMIO_SIZES[random.nextInt(4)]));
      case 8 ->
          board.handle(
              new Intercept.MmioWrite()
                  .prepare(
                      0xFEC0_0000L + 16 * random.nextInt(5),
                      MMIO_SIZES[random.nextInt(4)],
                      interesting(random)));
      case 9 -> apic.readMmio(random.nextInt(0x1000));
      case 10 -> apic.writeMmio(16 * random.nextInt(0x41), (int) interesting(random));
      case 11 -> {
        apic.writeMsr(0x800 + random.nextInt(0x100), interesting(random));
        int index = 0x800 + random.nextInt(0x100);
        apic.readMsr(index, new Intercept.MsrRead().prepare(index));
      }
      case 12 -> {
        if (random.nextInt(20) == 0) {
          apic.setApicBase(
              0xFEE0_0000L | (long) random.nextInt(4) << 10 | interesting(random) & 0xFFFF);
        }
        apic.setTscDeadline(random.nextBoolean() ? interesting(random) : cpu.readTsc() + 10_000);
        apic.setTaskPriority(random.nextInt(16));
      }
      case 13 -> {
        if (apic.interruptPending() && apic.acknowledge() == 256) {
          var external = new Intercept.ExternalInterrupt().prepare();
          board.handle(external);
          assertThat(external.vector).isBetween(-1, 255);
        }
        board.handle(new Intercept.EndOfInterrupt().prepare(random.nextInt(256)));
        partition.ended.clear();
        cpu.signals.clear();
      }
      case 14 -> partition.time.advance(random.nextInt(1_000_000));
      default -> {
        partition.signalMsi(0xFEE0_0000L | random.nextInt(1 << 20), random.nextInt(1 << 16));
        board.serialPort(SerialPort.COM1).offerInput(new byte[] {1, 2, 3}, 0, 3);
      }
    }
  }

  private static void roundTrip(TestPartition partition, Motherboard board) {
    board.stop();
    var state = board.state();
    board.setState(state);
    assertThat(board.state()).usingRecursiveComparison().isEqualTo(state);
    board.start();
    for (var apic : partition.apics) {
      var apicState = apic.state();
      apic.setState(apicState);
      // The error status that the guest has not latched is not part of the state.
      assertThat(apic.state()).usingRecursiveComparison().isEqualTo(apicState);
    }
  }
}
