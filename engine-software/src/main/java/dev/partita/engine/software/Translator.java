package dev.partita.engine.software;

import java.util.ArrayDeque;
import java.util.Map;
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

  private final Worker quick = new Worker("translator", false);
  private final Worker optimizing = new Worker("optimizer", true);
  private final ArrayDeque<Region> regions = new ArrayDeque<>();
  private final SoftwarePartition partition;
  private volatile boolean closed;

  // For statistics.
  final AtomicLong made = new AtomicLong();
  final AtomicLong madeOptimized = new AtomicLong();
  final AtomicLong failed = new AtomicLong();
  final AtomicLong nanosGenerating = new AtomicLong();
  final AtomicLong nanosCompiling = new AtomicLong();
  final AtomicLong codeBytes = new AtomicLong();
  final AtomicLong inline = new AtomicLong();
  final AtomicLong called = new AtomicLong();

  private final RegionJournal journal;

  Translator(SoftwarePartition partition) {
    this.partition = partition;
    this.journal = new RegionJournal(partition);
  }

  private static Tier tier(String name) {
    return switch (name) {
      case "interpreter" -> Tier.INTERPRETER;
      case "translator" -> Tier.TRANSLATOR;
      default -> Tier.MIXED;
    };
  }

  /// Asks for a region that may have been asked for before, without its shape.
  ///
  /// @return false if it does not wait to be translated
  boolean requestAgain(Block entry) {
    return quick.waiting.again(entry);
  }

  /// Asks for a region; on a processor's thread.
  void request(RegionShape shape) {
    if (TIER == Tier.TRANSLATOR) {
      synchronized (quick) {
        quick.translate(shape);
      }
    } else {
      quick.offer(shape);
    }
  }

  /// A region has run much: it is made again for the optimizing compiler. On a processor's thread.
  void optimize(Region region, RegionShape shape) {
    offerAgain(optimizing, region, shape);
  }

  /// A region is to be made again with a better shape, for the same compiler. On a processor's
  /// thread.
  void requestAgain(Region region, RegionShape shape) {
    offerAgain(region.optimized ? optimizing : quick, region, shape);
  }

  private static void offerAgain(Worker worker, Region region, RegionShape shape) {
    if (region.valid && TIER == Tier.MIXED) {
      shape.replaces = region;
      worker.offer(shape);
    }
  }

  /// A thread that makes regions, one after the other; started when there is something to do. The
  /// JVM's compilers do their part while it waits (jvm.options), so that a region is compiled
  /// before a processor runs it.
  private final class Worker implements Runnable {
    private final RegionQueue waiting = new RegionQueue();
    private final String name;
    private final boolean optimized;
    private @Nullable Thread thread;
    private @Nullable Cpu spare;

    Worker(String name, boolean optimized) {
      this.name = name;
      this.optimized = optimized;
    }

    void offer(RegionShape shape) {
      if (waiting.offer(shape)) {
        start();
      }
    }

    private synchronized void start() {
      if (thread == null && !closed) {
        thread = Thread.ofPlatform().name(name).daemon().priority(Thread.MIN_PRIORITY).start(this);
      }
    }

    synchronized void stop() {
      if (thread != null) {
        thread.interrupt();
      }
      waiting.clear();
    }

    @Override
    public void run() {
      try {
        if (!optimized) {
          CompileRequest.compile(RegionSupport.class, "execute", Operation.class, Cpu.class);
        }
        while (!closed) {
          translate(waiting.take());
        }
      } catch (InterruptedException e) {
        // Closed.
        Thread.currentThread().interrupt();
      }
    }

    private void translate(RegionShape shape) {
      var entry = shape.entry().block;
      var old = entry.region;
      if (closed || !entry.valid) {
        return;
      }
      var replaced = shape.replaces;
      if (replaced != null ? replaced != old : old != null && old.entry() == entry) {
        return;
      }
      // No longer needed: regions hold their shapes, and must not hold those before them.
      shape.replaces = null;
      Translator.this.translate(shape, replaced, optimized, spareCpu());
    }

    /// A processor for the calls that run nothing.
    private Cpu spareCpu() {
      var c = spare;
      if (c == null) {
        var processor = partition.softwareProcessors().getFirst();
        c = new Cpu(processor, partition, processor.cpu().apic);
        spare = c;
      }
      return c;
    }
  }

  private void translate(
      RegionShape shape, @Nullable Region replaced, boolean optimized, Cpu spare) {
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
    // Resolves all that the code refers to, and makes the JVM compile it.
    region.code.run(spare, 0, -1);
    boolean requested =
        TIER == Tier.MIXED && CompileRequest.AVAILABLE && (!optimized || Odds.AVAILABLE);
    int compiler = optimized ? CompileRequest.OPTIMIZING : CompileRequest.QUICK;
    boolean compiled = requested && CompileRequest.compile(region.code, compiler);
    if (requested && !compiled && region.shape.nodes.size() > 1) {
      // Too much for the compiler, which has limits of its own.
      translate(region.shape.smaller(0.5), replaced, optimized, spare);
      return;
    }
    if (!compiled) {
      for (int i = 1; i < WARM_UP; i++) {
        region.code.run(spare, 0, -1);
      }
    }
    long compiling = System.nanoTime() - generated;
    nanosGenerating.addAndGet(generated - start);
    nanosCompiling.addAndGet(compiling);
    journal.made(region, generated - start, compiling);
    made.incrementAndGet();
    if (optimized) {
      madeOptimized.incrementAndGet();
    }
    codeBytes.addAndGet(region.codeSize);
    inline.addAndGet(region.emitted);
    called.addAndGet(region.called);
    if (replaced != null) {
      region.reviewLike(replaced);
    }
    install(region);
  }

  /// Calls that make the JVM compile a region before any processor runs it, by the thresholds that
  /// jvm.options sets for regions.
  private static final int WARM_UP = TIER == Tier.MIXED ? 260 : 1;

  private synchronized void install(Region region) {
    region.journal = journal;
    for (var block : region.blocks) {
      if (!block.joined(region)) {
        region.invalidate(DropReason.WRITTEN_MEANWHILE);
        return;
      }
    }
    if (!region.valid) {
      return;
    }
    var old = region.entry().region;
    region.entry().region = region;
    for (var entry : region.entries) {
      if (entry.region == null || entry.region == old) {
        entry.region = region;
      }
    }
    if (!region.valid) {
      region.invalidate(DropReason.WRITTEN_MEANWHILE);
    }
    if (old != null && old.entry() == region.entry()) {
      old.retire(DropReason.REPLACED);
    }
    regions.removeIf(one -> !one.valid);
    regions.add(region);
    if (regions.size() > MAX_REGIONS) {
      regions.remove().invalidate(DropReason.EVICTED);
    }
  }

  /// Regions that may be entered.
  synchronized int live() {
    regions.removeIf(one -> !one.valid);
    return regions.size();
  }

  void count(Map<String, Long> counters) {
    counters.put("blocks dropped", partition.code().invalidated);
    counters.put("regions live", (long) live());
    journal.count(counters);
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
    closed = true;
    quick.stop();
    optimizing.stop();
    journal.close();
  }
}
