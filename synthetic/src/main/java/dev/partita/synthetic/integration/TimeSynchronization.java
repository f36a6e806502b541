package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;
import java.util.function.LongSupplier;

/// The time service: sets the guest's clock when its driver starts, when the partition goes on
/// after it was saved or paused, and when the host's own clock was set or the host has slept; and
/// gives samples for the guest's own adjustment in between.
public final class TimeSynchronization extends IntegrationService {
  private static final UUID INTERFACE = UUID.fromString("9527e630-d0ae-497b-adce-e80ab0175caf");
  private static final UUID INSTANCE = UUID.fromString("2dd1ce17-079e-403c-b352-a1921ee207ee");
  private static final long INTERVAL_NANOS = 5_000_000_000L;

  private static final int VERSION_4 = version(4, 0);

  // ICTIMESYNCFLAG.
  private static final byte SYNCHRONIZE = 1;
  private static final byte SAMPLE = 2;

  /// Host time, guest time, round-trip time, flags (Linux, `struct ictimesync_data`, packed).
  private static final int BODY_SIZE = 25;

  /// Host time, reference time, flags, leap indicator, stratum, reserved (`struct
  /// ictimesync_ref_data`, packed).
  private static final int REFERENCE_BODY_SIZE = 22;

  /// What the host's clock may stray from its count of time between two samples before it counts as
  /// set: far more than a clock that is kept in step with others is corrected by.
  private static final long STEP_NANOS = 1_000_000_000L;

  private static final int NANOS_PER_UNIT = 100;

  /// From 1601-01-01, the origin of Windows' time, to 1970-01-01, in units of 100 ns.
  private static final long UNIX_ORIGIN = 116_444_736_000_000_000L;

  private final TimeSource time;
  private final LongSupplier referenceTime;

  /// The wall clock's lead over the count of time at the last message.
  private long lead;

  /// @param referenceTime the partition's reference time now, in units of 100 ns
  public TimeSynchronization(TimeSource time, LongSupplier referenceTime) {
    super(
        INTERFACE,
        INSTANCE,
        IntegrationMessage.TIME_SYNCHRONIZATION,
        time,
        version(1, 0),
        version(3, 0),
        VERSION_4);
    this.time = time;
    this.referenceTime = referenceTime;
  }

  @Override
  void ready() {
    tell(SYNCHRONIZE);
  }

  @Override
  void wokeUp() {
    tell(SYNCHRONIZE);
  }

  @Override
  void tick() {
    // A host that sleeps stops its count of time, and with it the guest's, but not its clock.
    boolean stepped = Math.abs(time.wallClockNanos() - time.nanoTime() - lead) > STEP_NANOS;
    tell(stepped ? SYNCHRONIZE : SAMPLE);
  }

  private void tell(byte flags) {
    long reference = referenceTime.getAsLong();
    lead = time.wallClockNanos() - time.nanoTime();
    long now = time.wallClockNanos() / NANOS_PER_UNIT + UNIX_ORIGIN;
    boolean withReference = agreedVersion() >= VERSION_4;
    var body =
        ByteBuffer.allocate(withReference ? REFERENCE_BODY_SIZE : BODY_SIZE)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(now);
    if (withReference) {
      body.putLong(reference);
    } else {
      body.putLong(0).putLong(0);
    }
    request(body.put(flags).array());
    tickIn(time, INTERVAL_NANOS);
  }
}
