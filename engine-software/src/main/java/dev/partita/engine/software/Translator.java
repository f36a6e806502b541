package dev.partita.engine.software;

import java.util.ArrayDeque;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Makes {@link Region}s of hot code on a thread of its own, while the processors go on
/// interpreting, and bounds how many there are.
final class Translator implements AutoCloseable {
  /// How guest code is executed; the system property `partita.tier` chooses.
  enum Tier {
    /// Interpreted only.
    INTERPRETER,
    /// Interpreted, and translated when hot, in the background.
    MIXED,
    /// Translated as soon as it ran once; the processor waits. For tests.
    TRANSLATOR
  }

  static final Tier TIER = tier(System.getProperty("partita.tier", "mixed"));

  /// Most regions in a partition; the oldest goes.
  private static final int MAX_REGIONS = 3_000;

  /// Requests waiting; more are dropped (hot code asks again).
  private static final int MAX_WAITING = 512;

  private final LinkedBlockingQueue<RegionShape> waiting = new LinkedBlockingQueue<>(MAX_WAITING);
  private final ArrayDeque<Region> regions = new ArrayDeque<>();
  private final SoftwarePartition partition;
  private volatile @Nullable Thread thread;
  private volatile boolean closed;
  private @Nullable Cpu spare;

  // For statistics.
  final AtomicLong made = new AtomicLong();
  final AtomicLong madeOptimized = new AtomicLong();
  final AtomicLong failed = new AtomicLong();
  final AtomicLong nanosGenerating = new AtomicLong();
  final AtomicLong nanosCompiling = new AtomicLong();
  final AtomicLong codeBytes = new AtomicLong();
  final AtomicLong inline = new AtomicLong();
  final AtomicLong called = new AtomicLong();

  Translator(SoftwarePartition partition) {
    this.partition = partition;
  }

  private static Tier tier(String name) {
    return switch (name) {
      case "interpreter" -> Tier.INTERPRETER;
      case "translator" -> Tier.TRANSLATOR;
      default -> Tier.MIXED;
    };
  }

  /// Asks for a region; on a processor's thread.
  void request(RegionShape shape) {
    if (TIER == Tier.TRANSLATOR) {
      synchronized (this) {
        translate(shape);
      }
    } else if (waiting.offer(shape) && thread == null) {
      start();
    }
  }

  private synchronized void start() {
    if (thread == null && !closed) {
      thread =
          Thread.ofPlatform()
              .name("translator")
              .daemon()
              .priority(Thread.MIN_PRIORITY)
              .start(this::work);
    }
  }

  private void work() {
    try {
      while (!closed) {
        var shape = waiting.take();
        synchronized (this) {
          translate(shape);
        }
      }
    } catch (InterruptedException e) {
      // Closed.
      Thread.currentThread().interrupt();
    }
  }

  private void translate(RegionShape shape) {
    var entry = shape.entry().block;
    var old = entry.region;
    // A second request for the same entry comes from a region that ran much.
    boolean optimized = old != null;
    if (closed || !entry.valid || (old != null && (old.optimized || old.shape != shape))) {
      return;
    }
    long start = System.nanoTime();
    Region region;
    try {
      region = RegionCompiler.compile(shape, optimized);
    } catch (RuntimeException e) {
      // Interpreted for ever: right, if slow.
      failed.incrementAndGet();
      System.getLogger(Translator.class.getName())
          .log(System.Logger.Level.ERROR, "defect in the translator", e);
      return;
    }
    long generated = System.nanoTime();
    prepare(region);
    nanosGenerating.addAndGet(generated - start);
    nanosCompiling.addAndGet(System.nanoTime() - generated);
    made.incrementAndGet();
    if (optimized) {
      madeOptimized.incrementAndGet();
    }
    codeBytes.addAndGet(region.codeSize);
    inline.addAndGet(region.emitted);
    called.addAndGet(region.called);
    install(region);
  }

  /// A region has run much: it is made again for the optimizing compiler. On a processor's thread.
  void optimize(Region region) {
    if (region.valid && !region.optimized && TIER == Tier.MIXED) {
      waiting.offer(region.shape);
    }
  }

  /// Resolves all that the code refers to, and calls it as often as makes the JVM compile it.
  private void prepare(Region region) {
    var c = spare;
    if (c == null) {
      var processor = partition.softwareProcessors().getFirst();
      c = new Cpu(processor, partition, processor.cpu().apic);
      spare = c;
    }
    for (int i = 0; i < WARM_UP; i++) {
      region.code.run(c, 0, -1);
    }
  }

  /// HotSpot compiles a method at its 200th call (Tier3InvocationThreshold); it looks at every
  /// 128th for one not compiled yet (Tier0InvokeNotifyFreqLog).
  private static final int WARM_UP = TIER == Tier.MIXED ? 260 : 1;

  private void install(Region region) {
    for (var block : region.blocks) {
      if (!block.joined(region)) {
        region.invalidate();
        return;
      }
    }
    if (!region.valid) {
      return;
    }
    var old = region.entry().region;
    region.entry().region = region;
    if (!region.valid) {
      region.invalidate();
    }
    if (old != null) {
      old.retire();
    }
    regions.removeIf(one -> !one.valid);
    regions.add(region);
    if (regions.size() > MAX_REGIONS) {
      regions.remove().invalidate();
    }
  }

  void count(Map<String, Long> counters) {
    counters.put("regions", made.get());
    counters.put("regions optimized", madeOptimized.get());
    counters.put("regions failed", failed.get());
    counters.put("bytes of bytecode", codeBytes.get());
    counters.put("nanoseconds generating", nanosGenerating.get());
    counters.put("nanoseconds compiling", nanosCompiling.get());
    counters.put("operations emitted", inline.get());
    counters.put("operations called", called.get());
  }

  @Override
  public void close() {
    Thread worker;
    synchronized (this) {
      closed = true;
      worker = thread;
    }
    if (worker != null) {
      worker.interrupt();
    }
    waiting.clear();
  }
}
