package dev.partita.synthetic.storage;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicLong;

/// Tells operator and guest of requests that the host's file did not fulfil.
final class DiskFailures {
  private static final System.Logger LOG = System.getLogger(DiskFailures.class.getName());

  private final String name;
  private final AtomicLong count = new AtomicLong();

  DiskFailures(String name) {
    this.name = name;
  }

  ScsiResult reading(long sector, IOException e) {
    tell("reading", sector, e);
    return ScsiResult.failed(Sense.UNRECOVERED_READ_ERROR);
  }

  ScsiResult writing(long sector, IOException e) {
    tell("writing", sector, e);
    // Linux gives this its own name, ENOSPC, so that the guest's operator looks in the right place.
    boolean full = String.valueOf(e.getMessage()).contains("No space left");
    return ScsiResult.failed(full ? Sense.SPACE_ALLOCATION_FAILED : Sense.WRITE_ERROR);
  }

  /// The first, the second, the fourth and so on: a disk that is gone fails thousands a second.
  private void tell(String what, long sector, IOException e) {
    var event = new StorageErrorEvent();
    if (event.isEnabled()) {
      event.disk = name;
      event.action = what;
      event.sector = sector;
      event.reason = String.valueOf(e.getMessage());
      event.commit();
    }
    long number = count.incrementAndGet();
    if (Long.bitCount(number) == 1) {
      LOG.log(
          System.Logger.Level.ERROR,
          "disk {0}: {1} at sector {2} failed: {3}{4}",
          name,
          what,
          Long.toString(sector),
          e.getMessage(),
          number == 1 ? "" : " (failure " + number + ")");
    }
  }
}
