package dev.partita.worker;

import dev.partita.enlightenment.GuestCrash;
import dev.partita.hypervisor.TimeSource;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/// What becomes of a guest that has reported its crash. It may reset or switch the machine off, or
/// start another kernel that saves what the first one left (kdump), or write a dump itself, or do
/// nothing ever again. The partition ends as crashed in all of these cases but the second; the
/// guest's words are told in all. Thread-safe.
final class CrashWatch {
  private static final System.Logger LOG = System.getLogger(CrashWatch.class.getName());

  /// How long a guest may do nothing after its report.
  static final long GRACE_NANOS = 5_000_000_000L;

  private final TimeSource time;
  private final LongSupplier activity;
  private final Machine.Events events;
  private final TimeSource.Timer timer;

  private @Nullable GuestCrash reported;
  private long lastActivity;

  /// @param activity a number that grows while the guest uses its devices
  /// @param events hears of the end
  CrashWatch(TimeSource time, LongSupplier activity, Machine.Events events) {
    this.time = time;
    this.activity = activity;
    this.events = events;
    this.timer = time.timer(this::graceIsOver);
  }

  /// The guest has crashed, in its own words; the last words count.
  synchronized void reported(GuestCrash crash) {
    reported = crash;
    arm();
  }

  private void arm() {
    lastActivity = activity.getAsLong();
    timer.arm(time.nanoTime() + GRACE_NANOS);
  }

  private synchronized void graceIsOver() {
    if (reported != null && activity.getAsLong() != lastActivity) {
      arm();
    } else {
      endIfCrashed();
    }
  }

  /// The machine ends: by a reset, or switched off.
  ///
  /// @return whether the guest had crashed before, and the end has been told as that
  synchronized boolean endIfCrashed() {
    var crash = reported;
    if (crash == null) {
      return false;
    }
    reported = null;
    timer.cancel();
    events.crashed(GuestPanic.summary(crash), GuestPanic.details(crash));
    return true;
  }

  /// The crashed kernel hands over to another one, and has withdrawn from the guest interface.
  synchronized void wentOn() {
    var crash = reported;
    if (crash == null) {
      return;
    }
    reported = null;
    timer.cancel();
    LOG.log(
        System.Logger.Level.WARNING,
        "the guest crashed, and another kernel takes over: {0}",
        GuestPanic.summary(crash));
    for (var line : GuestPanic.details(crash)) {
      LOG.log(System.Logger.Level.WARNING, "{0}", line);
    }
  }
}
