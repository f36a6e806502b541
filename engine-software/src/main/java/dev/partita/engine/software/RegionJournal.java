package dev.partita.engine.software;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLongArray;
import jdk.jfr.FlightRecorder;

/// What becomes of the regions of a partition: counted, and told to the flight recorder.
///
/// Thread-safe.
final class RegionJournal {
  private static final DropReason[] REASONS = DropReason.values();

  private final SoftwarePartition partition;
  private final AtomicLongArray dropped = new AtomicLongArray(REASONS.length);
  private volatile boolean periodic;
  private volatile boolean closed;
  private final Runnable tiers = this::tiers;

  RegionJournal(SoftwarePartition partition) {
    this.partition = partition;
  }

  /// A region is ready.
  ///
  /// @param generating nanoseconds
  /// @param compiling nanoseconds
  void made(Region region, long generating, long compiling) {
    // The first event class that is touched costs a fifth of a second.
    if (!FlightRecorder.isInitialized()) {
      return;
    }
    tellPeriodically();
    var event = new RegionMadeEvent();
    if (event.shouldCommit()) {
      event.rip = Long.toHexString(region.shape.rip);
      event.optimized = region.optimized;
      event.blocks = region.blocks.length;
      for (var block : region.blocks) {
        event.instructions += block.instructions;
      }
      event.bytecode = region.codeSize;
      event.operationsCalled = region.called;
      event.generating = generating;
      event.compiling = compiling;
      event.commit();
    }
  }

  /// A region is not entered any more.
  void dropped(Region region, DropReason reason) {
    dropped.incrementAndGet(reason.ordinal());
    if (!FlightRecorder.isInitialized()) {
      return;
    }
    var event = new RegionDroppedEvent();
    if (event.shouldCommit()) {
      event.rip = Long.toHexString(region.shape.rip);
      event.reason = reason.words;
      event.optimized = region.optimized;
      event.executed = region.executed;
      event.commit();
    }
  }

  void count(Map<String, Long> counters) {
    for (var reason : REASONS) {
      counters.put("regions dropped " + reason.words, dropped.get(reason.ordinal()));
    }
  }

  private long allDropped() {
    long all = 0;
    for (int i = 0; i < REASONS.length; i++) {
      all += dropped.get(i);
    }
    return all;
  }

  private synchronized void tellPeriodically() {
    if (!periodic && !closed) {
      periodic = true;
      FlightRecorder.addPeriodicEvent(TiersEvent.class, tiers);
    }
  }

  private void tiers() {
    var event = new TiersEvent();
    for (var processor : partition.softwareProcessors()) {
      processor.countTiers(event);
    }
    event.made = partition.translator().made.get();
    event.dropped = allDropped();
    event.regions = partition.translator().live();
    event.commit();
  }

  synchronized void close() {
    closed = true;
    if (periodic) {
      FlightRecorder.removePeriodicEvent(tiers);
    }
  }
}
