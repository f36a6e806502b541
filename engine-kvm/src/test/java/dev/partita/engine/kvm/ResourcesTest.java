package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.RunExit;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What a partition takes from the host, it gives back.
class ResourcesTest {
  private final KvmEngine engine = new KvmEngine();
  private final KvmEngine withRings = TestEngines.with(DirtyTracking.RINGS);

  @BeforeEach
  void kvmIsThere() {
    TestEngines.assumeThere(engine);
  }

  @Test
  void aThousandPartitionsLeaveNothingBehind() throws Exception {
    try (var memory = new GuestMemory(GuestMemory.MINIMUM_SIZE);
        var time = new ManualTimeSource(0)) {
      // out 0xF4, al
      memory.write(0, new byte[] {(byte) 0xE6, (byte) 0xF4});
      makeAndClose(engine, memory, time, 10);
      makeAndClose(withRings, memory, time, 1);
      long descriptors = entries("/proc/self/fd");
      long mappings = kvmMappings();
      long threads = Thread.getAllStackTraces().size();
      makeAndClose(engine, memory, time, 1000);
      makeAndClose(withRings, memory, time, 100);
      assertThat(entries("/proc/self/fd")).isLessThanOrEqualTo(descriptors + 2);
      assertThat(kvmMappings()).isEqualTo(mappings).isZero();
      assertThat(Thread.getAllStackTraces().size()).isLessThanOrEqualTo((int) threads + 2);
    }
  }

  private static void makeAndClose(
      KvmEngine engine, GuestMemory memory, ManualTimeSource time, int count)
      throws IOException, InterruptedException {
    for (int i = 0; i < count; i++) {
      try (var partition = engine.createPartition(configuration(engine, memory, time, 2))) {
        var processor = partition.processors().getFirst();
        // Each processor's shared memory and its ring.
        assertThat(kvmMappings()).isBetween(2L, 4L);
        assertThat(partition.doorbells().orElseThrow().add(0xE1, 4, 7, () -> {})).isPresent();
        var state = processor.state();
        // In real mode at 0:0.
        processor.setState(TestStates.realMode(state));
        var thread =
            Thread.ofPlatform()
                .start(
                    () ->
                        processor.run(
                            (p, intercept) -> {
                              if (intercept instanceof Intercept.PortWrite) {
                                p.cancel();
                              }
                            }));
        thread.join();
      }
    }
  }

  private static PartitionConfiguration configuration(
      KvmEngine engine, GuestMemory memory, ManualTimeSource time, int processors) {
    return new PartitionConfiguration(
        processors,
        memory,
        engine.supportedCpuid(),
        engine.tscFrequency(),
        time,
        p -> {
          throw new IllegalStateException("not asked");
        });
  }

  private static long entries(String folder) throws IOException {
    try (var list = Files.list(Path.of(folder))) {
      return list.count();
    }
  }

  private static long kvmMappings() throws IOException {
    try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
      return lines.filter(line -> line.contains("kvm-vcpu")).count();
    }
  }

  @Test
  void aClosedPartitionRefusesQuietly() {
    try (var memory = new GuestMemory(GuestMemory.MINIMUM_SIZE);
        var time = new ManualTimeSource(0)) {
      var partition = engine.createPartition(configuration(engine, memory, time, 1));
      var processor = partition.processors().getFirst();
      partition.close();
      partition.close();
      assertThat(processor.run((_, _) -> {})).isEqualTo(RunExit.CANCELLED);
      partition.signalMsi(0xFEE0_0000L, 0x40);
      partition.setExternalInterrupt(true);
      processor.cancel();
      assertThat(processor.readTsc()).isNotZero();
      assertThatThrownBy(processor::state).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void whatTheHostCannotDoIsSaidInOneLine() {
    try (var memory = new GuestMemory(GuestMemory.MINIMUM_SIZE);
        var time = new ManualTimeSource(0)) {
      // Hardware of the last ten years scales it.
      assumeFalse(engine.selfTest().works(), "skipped: this host scales its time stamp counter");
      var odd =
          new PartitionConfiguration(
              1,
              memory,
              engine.supportedCpuid(),
              123_456_000L,
              time,
              p -> {
                throw new IllegalStateException("not asked");
              });
      assertThatThrownBy(() -> engine.createPartition(odd))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("KVM_SET_TSC_KHZ")
          .hasMessageContaining("cannot scale");
    }
  }

  @Test
  void errorsHaveTheCallTheReasonAndAnAdvice() {
    assertThat(KvmException.of(Ioctl.KVM_CREATE_VM, Posix.ENOMEM))
        .hasMessageStartingWith("KVM_CREATE_VM: Cannot allocate memory (errno 12): ")
        .hasMessageContaining("out of memory");
    assertThat(KvmException.of(Ioctl.KVM_CREATE_VCPU, Posix.EMFILE))
        .hasMessageContaining("ulimit -n");
  }
}
