package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.Attribute;
import dev.partita.engine.kvm.Structures.Clock;
import dev.partita.engine.kvm.Structures.Msrs;
import java.lang.foreign.Arena;
import java.util.OptionalLong;

/// What a guest's `RDTSC` reads on one processor, as its owner sees it.
final class TimeStampCounter {
  /// KVM_CLOCK_HOST_TSC.
  static final int CLOCK_HOST_TSC = 1 << 3;

  private static final int MSR_TSC = 0x10;

  private final KvmDescriptor processor;
  private final KvmPartition partition;

  /// The last exact one, for threads that cannot ask KVM.
  private volatile Reading last;

  /// @param offset of the guest's counter from the host's, if it is known
  /// @param nanoTime when that was
  private record Reading(long guest, OptionalLong offset, long nanoTime) {}

  TimeStampCounter(KvmDescriptor processor, KvmPartition partition) {
    this.processor = processor;
    this.partition = partition;
    last = ask();
  }

  /// Exact. Only on the thread that runs the processor, or while it does not run.
  long read() {
    var now = ask();
    last = now;
    return now.guest;
  }

  /// To be called when the counter was set. Threads as for {@link #read}.
  void reread() {
    last = ask();
  }

  /// From the host's counter if KVM tells that, else from the host's clock. Any thread, while the
  /// partition is open.
  long readWhileRunning() {
    var reading = last;
    long host = reading.offset.isPresent() && !isScaled() ? hostCounter() : 0;
    return host != 0 ? host + reading.offset.getAsLong() : extrapolate(reading);
  }

  /// From the host's clock. Any thread, any time.
  long extrapolate() {
    return extrapolate(last);
  }

  private boolean isScaled() {
    return partition.configuration().tscFrequency() / 1000
        != partition.facts().tscFrequency() / 1000;
  }

  private long extrapolate(Reading reading) {
    long nanos = partition.configuration().time().nanoTime() - reading.nanoTime;
    long frequency = partition.configuration().tscFrequency();
    return reading.guest
        + nanos / 1_000_000_000L * frequency
        + nanos % 1_000_000_000L * (frequency / 1000) / 1_000_000L;
  }

  private Reading ask() {
    try (var arena = Arena.ofConfined()) {
      var one = arena.allocate(Msrs.SIZE + Msrs.ENTRY_SIZE, 8);
      one.set(JAVA_INT, Msrs.COUNT, 1);
      one.set(JAVA_INT, Msrs.SIZE + Msrs.ENTRY_INDEX, MSR_TSC);
      if (processor.call(Ioctl.KVM_GET_MSRS, one) != 1) {
        throw new KvmException("KVM_GET_MSRS", 0, "no time stamp counter");
      }
      return new Reading(
          one.get(JAVA_LONG, Msrs.SIZE + Msrs.ENTRY_DATA),
          tscOffset(arena),
          partition.configuration().time().nanoTime());
    }
  }

  /// KVM tells it since Linux 5.16 ("KVM_VCPU_TSC_OFFSET",
  /// Documentation/virt/kvm/devices/vcpu.rst).
  private OptionalLong tscOffset(Arena arena) {
    var offset = arena.allocate(8, 8);
    // Group and attribute are both 0.
    var request = arena.allocate(Attribute.SIZE, 8);
    request.set(JAVA_LONG, Attribute.ADDRESS, offset.address());
    return processor.tryCall(Ioctl.KVM_GET_DEVICE_ATTR, request) < 0
        ? OptionalLong.empty()
        : OptionalLong.of(offset.get(JAVA_LONG, 0));
  }

  /// The host's time stamp counter, or 0 if KVM does not tell it.
  private long hostCounter() {
    try (var arena = Arena.ofConfined()) {
      var clock = arena.allocate(Clock.SIZE, 8);
      if (partition.machine().tryCall(Ioctl.KVM_GET_CLOCK, clock) < 0
          || (clock.get(JAVA_INT, Clock.FLAGS) & CLOCK_HOST_TSC) == 0) {
        return 0;
      }
      return clock.get(JAVA_LONG, Clock.HOST_TSC);
    }
  }
}
