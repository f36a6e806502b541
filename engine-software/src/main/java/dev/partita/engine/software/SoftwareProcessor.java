package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.InterceptHandler;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// A virtual processor of the software engine: the execution loop, and what other threads ask of
/// it.
///
/// Other threads set bits in {@link #attention}, which the loop looks at between blocks; a
/// processor that
/// waits parks and is unparked.
final class SoftwareProcessor implements VirtualProcessor {
  // What other threads ask for.
  private static final int INTERRUPT = 1;
  private static final int NMI = 1 << 1;
  private static final int INIT = 1 << 2;
  private static final int STARTUP = 1 << 3;
  private static final int CANCEL = 1 << 4;
  private static final int PAUSE = 1 << 5;

  /// The loop's own: single steps (TF, interrupt shadow, code that writes itself).
  private static final int STEP = 1 << 6;

  /// The loop's own: HLT was executed.
  private static final int HALT = 1 << 7;

  /// What ends a halt.
  private static final int WAKE = INTERRUPT | NMI | INIT | STARTUP | CANCEL;

  /// Entries in the table of jumps; a power of two.
  private static final int JUMPS = 16_384;

  private static final int JUMP_MASK = JUMPS - 1;

  /// Blocks executed between two returns to the outer loop, so that the JVM compiles the inner
  /// method as a
  /// whole and statistics stay fresh.
  private static final int SLICE = 20_000;

  /// How often a block is interpreted before it is translated.
  static final int HEAT =
      switch (Translator.TIER) {
        case INTERPRETER -> Integer.MAX_VALUE;
        case MIXED -> Integer.getInteger("partita.heat", 32_768);
        case TRANSLATOR -> 1;
      };

  /// How often a block must have been interpreted to become part of another's region.
  static final int WARM = HEAT / 32;

  /// What is counted by block is counted at random for many at once, this many at most: what all
  /// processors write at each step would go from one's cache to the other's.
  private static final int MOST_BLOCKS = Math.clamp(HEAT / 1024, 1, 32);

  /// Likewise, runs of regions, which are read at each step too.
  private static final int MOST_RUNS = Math.clamp(HEAT / 256, 1, 128);

  /// Instructions that a region may execute before it returns, so that statistics stay fresh.
  private static final int REGION_BUDGET = 100_000;

  /// Instructions that a region must have executed to be worth the JVM's optimizing compiler.
  private static final long OPTIMIZE = Long.getLong("partita.optimize", 40_000_000);

  /// Entries in the table of regions whose pages were checked; a power of two.
  private static final int CHECKED = 512;

  /// Instructions executed between two returns to the outer loop, once regions execute them.
  private static final int SLICE_INSTRUCTIONS = 2_000_000;

  private static final VarHandle ATTENTION;

  static {
    try {
      ATTENTION =
          MethodHandles.lookup().findVarHandle(SoftwareProcessor.class, "attention", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final SoftwarePartition partition;
  private final int index;
  private final TimeStampCounter tsc;

  @SuppressWarnings("NullAway.Init") // connect() follows construction at once
  private Cpu cpu;

  @SuppressWarnings("NullAway.Init")
  private Decoder decoder;

  @SuppressWarnings("NullAway.Init")
  private LocalApic apic;

  /// Read by the code of regions.
  volatile int attention;
  private volatile int startupVector;
  private volatile boolean parked;
  private volatile @Nullable Thread thread;

  private @Nullable InterceptHandler handler;
  private boolean waitForStartup;
  private @Nullable Block running;
  private int runningOperation;

  /// No linear address: not canonical.
  private static final long NO_ADDRESS = 1L << 62;

  /// The blocks that recent jumps led to, by linear address. Whether one is there still is looked
  /// up each time, in the {@link Tlb}.
  private final @Nullable Block[] jumpBlock = new @Nullable Block[JUMPS];

  // Regions of several pages that are where they were made for, and the linear address there.
  private final @Nullable Region[] checkedRegion = new @Nullable Region[CHECKED];
  private final long[] checkedBase = new long[CHECKED];
  private boolean anyChecked = true;

  private @Nullable Region runningRegion;

  /// One instruction is to run in a block of its own.
  private boolean stepOnce;

  /// What is watched; regions are not entered meanwhile.
  private @Nullable Watch watch;

  /// Of {@link #nextSample}.
  private long random;

  // Since the last that was counted; from then on until the next that is.
  private int blocksTogether = 1;
  private int blocksLeft = 1;
  private int regionsTogether = 1;
  private int regionsLeft = 1;

  private long instructions;

  // For statistics.
  private long blocksDecoded;
  private long jumpMisses;
  private long exceptions;
  private long interrupts;
  private long halts;
  private long doorbells;
  private long decodingNanos;
  private long haltedNanos;
  private long interceptNanos;
  private long regionRuns;
  private long regionInstructions;
  private long optimizedInstructions;
  private long regionsElsewhere;
  private final long[] regionExits = new long[RegionExit.values().length];

  /// Instructions left before {@link #run} stops by itself; for tests of hostile code.
  private long budget = Long.MAX_VALUE;

  private final Intercept.EndOfInterrupt endOfInterrupt = new Intercept.EndOfInterrupt();
  private final Intercept.ExternalInterrupt externalInterrupt = new Intercept.ExternalInterrupt();
  private final Intercept.Halt halt = new Intercept.Halt();

  SoftwareProcessor(SoftwarePartition partition, int index) {
    this.partition = partition;
    this.index = index;
    this.tsc = new TimeStampCounter(partition.counter());
    this.waitForStartup = index != 0;
    this.random = index + 1;
  }

  void connect(LocalApic apic) {
    this.apic = apic;
    this.cpu = new Cpu(this, partition, apic);
    this.decoder =
        new Decoder(cpu, cpu.mmu, partition.memory().segment().address(), partition.code());
    Reset.reset(cpu, false);
  }

  Cpu cpu() {
    return cpu;
  }

  TimeStampCounter tsc() {
    return tsc;
  }

  SoftwarePartition partition() {
    return partition;
  }

  /// The block that runs now, for a write that may hit it.
  @Nullable Block runningBlock() {
    return running;
  }

  /// The region that runs now, likewise.
  @Nullable Region runningRegion() {
    return runningRegion;
  }

  // ---- Asked by other threads
  // -----------------------------------------------------------------------

  private void request(int bit) {
    ATTENTION.getAndBitwiseOr(this, bit);
    if (parked) {
      LockSupport.unpark(thread);
    }
  }

  private void clear(int bits) {
    ATTENTION.getAndBitwiseAnd(this, ~bits);
  }

  @Override
  public int index() {
    return index;
  }

  @Override
  public void cancel() {
    request(CANCEL);
  }

  @Override
  public void interruptRequested() {
    request(INTERRUPT);
  }

  @Override
  public void requestNmi() {
    request(NMI);
  }

  @Override
  public void requestInit() {
    request(INIT);
  }

  @Override
  public void requestStartup(int vector) {
    startupVector = vector;
    request(STARTUP);
  }

  void requestPause() {
    request(PAUSE);
  }

  @Override
  public long readTsc() {
    return tsc.read();
  }

  @Override
  public long instructionCount() {
    return instructions;
  }

  @Override
  public Map<String, Long> counters() {
    var counters = new LinkedHashMap<String, Long>();
    counters.put("instructions", instructions);
    counters.put("blocks decoded", blocksDecoded);
    counters.put("instructions decoded", decoder.decoded);
    counters.put("jump table misses", jumpMisses);
    cpu.mmu.count(counters);
    counters.put("instructions interpreted", instructions - regionInstructions);
    counters.put("instructions translated", regionInstructions - optimizedInstructions);
    counters.put("instructions optimized", optimizedInstructions);
    counters.put("region runs", regionRuns);
    counters.put("region runs refused for pages mapped elsewhere", regionsElsewhere);
    for (var exit : RegionExit.values()) {
      counters.put("region exits " + exit.words, regionExits[exit.ordinal()]);
    }
    if (index == 0) {
      partition.translator().count(counters);
    }
    counters.put("exceptions", exceptions);
    counters.put("interrupts", interrupts);
    counters.put("halts", halts);
    counters.put("doorbells", doorbells);
    counters.put("nanoseconds decoding", decodingNanos);
    counters.put("nanoseconds halted", haltedNanos);
    counters.put("nanoseconds in intercepts", interceptNanos);
    return counters;
  }

  /// Adds what this processor did. Any thread; a little out of date.
  void countTiers(TiersEvent event) {
    event.interpreted += instructions - regionInstructions;
    event.translated += regionInstructions - optimizedInstructions;
    event.optimized += optimizedInstructions;
    event.tlbMisses += cpu.mmu.misses();
  }

  @Override
  public ProcessorState state() {
    return StateTransfer.save(cpu, waitForStartup);
  }

  @Override
  public void setState(ProcessorState state) {
    StateTransfer.load(cpu, state);
    waitForStartup = state.events().activity() == ProcessorState.Activity.WAIT_FOR_SIPI;
    translationsChanged();
    flagsChanged();
  }

  @Override
  public long general(int register) {
    return cpu.r[checkedRegister(register)];
  }

  @Override
  public void setGeneral(int register, long value) {
    cpu.r[checkedRegister(register)] = value;
  }

  private static int checkedRegister(int register) {
    if (register < 0 || register > 15) {
      throw new IllegalArgumentException("no general register " + register);
    }
    return register;
  }

  @Override
  public Mode mode() {
    if (!cpu.protectedMode()) {
      return Mode.REAL;
    }
    if (cpu.longMode()) {
      return cpu.is64() ? Mode.LONG : Mode.COMPATIBILITY;
    }
    return cpu.virtual8086() ? Mode.VIRTUAL_8086 : Mode.PROTECTED;
  }

  @Override
  public int privilegeLevel() {
    return cpu.cpl;
  }

  /// Limits how many instructions {@link #run} may execute; then it returns as if cancelled.
  void setBudget(long instructions) {
    budget = instructions;
  }

  long budget() {
    return budget;
  }

  // ---- Asked by operations, on this thread
  // ----------------------------------------------------------

  /// Rings for a port write that is a signal, else hands it to the owner.
  void portWrite(Intercept.PortWrite write) {
    var bell = partition.doorbell(write.port, write.size, write.value);
    if (bell == null) {
      intercept(write);
      return;
    }
    doorbells++;
    long start = beginOutside();
    try {
      bell.run();
    } finally {
      endOutside(start);
    }
  }

  /// Hands an intercept to the owner.
  void intercept(Intercept intercept) {
    var h = handler;
    if (h == null) {
      throw new IllegalStateException("an intercept outside run()");
    }
    long start = beginOutside();
    try {
      h.handle(this, intercept);
    } finally {
      endOutside(start);
    }
  }

  /// While others' code works (it may wait for the host), this processor does not hold up those who
  /// want all processors to stand still.
  ///
  /// @return when it began, for {@link #endOutside}
  private long beginOutside() {
    long start = System.nanoTime();
    partition.rendezvous().leave();
    return start;
  }

  private void endOutside(long start) {
    partition.rendezvous().enter();
    interceptNanos += System.nanoTime() - start;
  }

  /// IF or TF changed: look at pending interrupts after this block.
  void flagsChanged() {
    if ((cpu.systemFlags & Cpu.TF) != 0) {
      ATTENTION.getAndBitwiseOr(this, STEP);
    }
    if (apic.interruptPending()) {
      ATTENTION.getAndBitwiseOr(this, INTERRUPT);
    }
  }

  /// The next instruction runs alone, with no interrupt before it.
  void beginInterruptShadow() {
    cpu.interruptShadow = true;
    ATTENTION.getAndBitwiseOr(this, STEP);
  }

  /// HLT: the loop waits before the next instruction.
  void beginHalt() {
    cpu.halted = true;
    ATTENTION.getAndBitwiseOr(this, HALT);
  }

  /// Whether a non-maskable interrupt waits.
  boolean nmiPending() {
    return (attention & NMI) != 0;
  }

  /// Forgets a waiting non-maskable interrupt: other state was loaded.
  void clearNmi() {
    clear(NMI);
  }

  /// Debug registers or the like changed so that each instruction must be looked at.
  void stepRequested() {
    ATTENTION.getAndBitwiseOr(this, STEP);
  }

  void endOfInterrupt(int vector) {
    if (handler != null) {
      intercept(endOfInterrupt.prepare(vector));
    }
  }

  boolean isApicPage(long physical) {
    long base = apic.apicBase();
    // Enabled (bit 11) and not in x2APIC mode (bit 10).
    return (base & 0xC00) == 0x800 && (physical & ~0xFFFL) == (base & 0xF_FFFF_FFFF_F000L);
  }

  ShutdownSignal codeOutsideRam(long address) {
    return new ShutdownSignal(
        Intercept.Shutdown.Reason.UNSUPPORTED,
        "the guest runs code outside its RAM, at linear address 0x%x".formatted(address));
  }

  /// Translations changed.
  void translationsChanged() {
    // What runs is not to be linked with what comes next.
    running = null;
    if (anyChecked) {
      Arrays.fill(checkedBase, NO_ADDRESS);
      anyChecked = false;
    }
  }

  // ---- The loop
  // -------------------------------------------------------------------------------------

  @Override
  public RunExit run(InterceptHandler handler) {
    this.handler = handler;
    this.thread = Thread.currentThread();
    partition.rendezvous().enter();
    try {
      flagsChanged();
      EventDelivery.pending(cpu);
      while (true) {
        if (attention != 0 && !serve()) {
          return RunExit.CANCELLED;
        }
        if (cpu.halted || waitForStartup) {
          sleep();
          continue;
        }
        if (budget <= 0) {
          return RunExit.CANCELLED;
        }
        try {
          if ((attention & STEP) != 0) {
            step();
          } else {
            runSlice();
          }
        } catch (GuestFault fault) {
          backToInstruction();
          exceptions++;
          budget--;
          cpu.interruptShadow = false;
          EventDelivery.exception(cpu, fault);
        } catch (ExecutionStop stop) {
          backToInstruction();
          stepOnce = true;
          stepRequested();
        }
        running = null;
      }
    } catch (ShutdownSignal signal) {
      shutDown(signal.reason, String.valueOf(signal.getMessage()));
      return RunExit.SHUTDOWN;
    } catch (RuntimeException | StackOverflowError e) {
      System.getLogger(SoftwareProcessor.class.getName())
          .log(System.Logger.Level.ERROR, "defect in the software engine or a handler", e);
      shutDown(Intercept.Shutdown.Reason.INTERNAL_ERROR, e.toString());
      return RunExit.SHUTDOWN;
    } finally {
      running = null;
      partition.rendezvous().leave();
      this.thread = null;
      this.handler = null;
    }
  }

  /// After a fault: RIP of the instruction that faulted.
  private void backToInstruction() {
    var block = running;
    if (block != null) {
      var op = cpu.within;
      if (op == null) {
        op = block.steps[runningOperation];
      }
      cpu.rip = cpu.ripMasked(cpu.r[Cpu.RIP_BASE] + op.start);
      instructions += block.before(op);
      running = null;
    }
    cpu.within = null;
  }

  private void runSlice() {
    var c = cpu;
    int i = 0;
    long before = instructions;
    long limit = Math.min(SLICE_INSTRUCTIONS, budget);
    try {
      for (int n = (int) Math.min(SLICE, budget); n > 0; n--) {
        var block = next(c);
        var region = block.region;
        if (region != null
            && !c.regionMissed
            && watch == null
            && mayEnter(region, region.entryOf(block), c.rip)) {
          i = 0;
          long left = budget - (instructions - before);
          runRegion(c, region, region.entryOf(block), Math.clamp(left, 0, REGION_BUDGET));
          if (attention != 0 || instructions - before >= limit) {
            break;
          }
          continue;
        }
        c.regionMissed = false;
        running = block;
        c.r[Cpu.RIP_BASE] = c.rip;
        var steps = block.steps;
        for (i = 0; i < steps.length; i++) {
          steps[i].execute(c);
        }
        instructions += block.instructions;
        if (--blocksLeft == 0) {
          warm(c, block);
        }
        if (attention != 0) {
          break;
        }
      }
    } finally {
      runningOperation = i;
      budget -= instructions + i - before;
    }
  }

  /// When to count again, in blocks or runs of regions: at random, so that no loop is in step with
  /// it.
  ///
  /// @param most uniform from 1 to this
  private int nextSample(int most) {
    // Marsaglia's xorshift.
    random ^= random << 13;
    random ^= random >>> 7;
    random ^= random << 17;
    return 1 + (int) ((random & 0xFFFF) * most >>> 16);
  }

  /// A block was interpreted, and is counted for all since the last that was: notes where it went,
  /// and asks for a region if it is time.
  private void warm(Cpu c, Block block) {
    int together = blocksTogether;
    blocksTogether = nextSample(MOST_BLOCKS);
    blocksLeft = blocksTogether;
    switch (block.operations[block.operations.length - 1].follow()) {
      case INDIRECT_JUMP, INDIRECT_CALL -> block.sawTarget(c.rip - c.r[Cpu.RIP_BASE]);
      default -> {}
    }
    var watching = watch;
    if (watching != null) {
      blocksLeft = 1;
      watching.saw(block);
      if (watching.isOver(c)) {
        endWatch(c, watching);
      }
      return;
    }
    int heat = block.heat - together;
    block.heat = heat;
    if (heat > 0 || Translator.TIER == Translator.Tier.INTERPRETER) {
      return;
    }
    // Warm still, for the regions of others.
    block.heat = HEAT / 2 | 63;
    if ((block.mode & Cpu.MODE_SIZE_MASK) == Cpu.MODE_64
        && block.mode == c.mode
        && block.region == null
        && block.valid
        && block.mayBeWatched()
        && !partition.translator().requestAgain(block)) {
      startWatch(c, block, c.r[Cpu.RIP_BASE], null);
    }
  }

  /// From here on what runs is watched, for the region that begins with a block.
  private void startWatch(Cpu c, Block entry, long base, @Nullable Region replaces) {
    var watching = new Watch(entry, base, replaces);
    if (Translator.TIER == Translator.Tier.MIXED) {
      watch = watching;
      blocksLeft = 1;
    } else {
      endWatch(c, watching);
    }
  }

  private void endWatch(Cpu c, Watch watching) {
    watch = null;
    var entry = watching.entry;
    var replaces = watching.replaces;
    // Another program may run there by now.
    if (entry.mode != c.mode || !entry.valid || !isMapped(watching.base, entry.address & ~0xFFFL)) {
      if (replaces != null) {
        replaces.executed = Math.min(replaces.executed, OPTIMIZE / 2);
      }
      return;
    }
    var shape = RegionShape.of(watching, c);
    var translator = partition.translator();
    if (replaces == null) {
      if (Translator.TIER == Translator.Tier.TRANSLATOR || shape.isWorthwhile()) {
        translator.request(shape);
      } else {
        entry.notWorthwhile();
      }
    } else if (replaces.executed >= OPTIMIZE && !replaces.optimized) {
      translator.optimize(replaces, shape);
    } else if (shape.knowsMoreThan(replaces.shape)) {
      translator.requestAgain(replaces, shape);
    }
  }

  /// Whether a region's pages are mapped at RIP as when it was made.
  private boolean mayEnter(Region region, int entry, long rip) {
    long base = rip - region.entryOffset[entry];
    // Far from the addresses that are not canonical, so that no jump in it can lead there.
    if (!Cpu.canonical(base + (1L << 32)) || !Cpu.canonical(base - (1L << 32))) {
      return false;
    }
    int[] distances = region.pageDistance;
    if (distances.length == 0) {
      return region.valid;
    }
    int slot = region.slot & CHECKED - 1;
    if (checkedRegion[slot] == region && checkedBase[slot] == base) {
      return region.valid;
    }
    if (entry != 0 && !isMapped(base, region.entry().address & ~0xFFFL)) {
      return false;
    }
    for (int i = 0; i < distances.length; i++) {
      if (!isMapped(base + ((long) distances[i] << 12), region.pageOffset[i])) {
        regionsElsewhere++;
        return false;
      }
    }
    checkedRegion[slot] = region;
    checkedBase[slot] = base;
    anyChecked = true;
    return region.valid;
  }

  /// Whether the page of a code address is at an offset in RAM.
  private boolean isMapped(long linear, long page) {
    return cpu.mmu.tryFetch(linear & ~0xFFFL) == page;
  }

  private void runRegion(Cpu c, Region region, int entry, int limit) {
    running = null;
    runningRegion = region;
    regionRuns++;
    long base = c.rip - region.entryOffset[entry];
    int executed = region.run(c, entry, limit);
    runningRegion = null;
    var exit = region.exit(c);
    regionExits[exit.ordinal()]++;
    if (executed >= 0) {
      instructions += executed;
      regionInstructions += executed;
      if (region.optimized) {
        optimizedInstructions += executed;
      }
      if (--regionsLeft == 0) {
        sample(c, region, base, exit, executed);
      }
    } else {
      instructions += -1 - executed;
      regionInstructions += -1 - executed;
      throw Region.thrown(c);
    }
  }

  /// A region ran, and is counted for all runs since the last that was: perhaps it is to be made
  /// again.
  private void sample(Cpu c, Region region, long base, RegionExit exit, int executed) {
    int runs = regionsTogether;
    regionsTogether = nextSample(MOST_RUNS);
    regionsLeft = regionsTogether;
    boolean again = false;
    if (exit == RegionExit.INDIRECT) {
      region.sawTarget(c, base);
    }
    if (exit == RegionExit.INDIRECT || exit == RegionExit.JUMP) {
      again = region.wasLeft(runs);
    }
    long before = region.executed;
    long now = before + (long) executed * runs;
    region.executed = now;
    if (again || !region.optimized && before < OPTIMIZE && now >= OPTIMIZE) {
      startWatch(c, region.entry(), base, region);
    }
  }

  /// The block at RIP. A jump within a page is found through the block it comes from: as long as
  /// that block's page is mapped here, so is the target. Others go by the table of recent jumps.
  private Block next(Cpu c) {
    var from = running;
    long delta = c.rip - c.r[Cpu.RIP_BASE];
    if (from != null) {
      var target = from.linkTarget(delta);
      if (target != null && target.valid && target.mode == c.mode) {
        return target;
      }
    }
    var target = lookup(c);
    if (from != null) {
      from.link(delta, target);
    }
    return target;
  }

  private Block lookup(Cpu c) {
    long linear = c.is64() ? c.rip : c.rip + c.segmentBase[Cpu.CS] & 0xFFFF_FFFFL;
    int slot = (int) (linear ^ linear >>> 12) & JUMP_MASK;
    var block = jumpBlock[slot];
    if (block != null
        && block.address == c.mmu.peekFetch(linear)
        && block.mode == c.mode
        && block.valid
        && block.secondPage < 0) {
      return block;
    }
    jumpMisses++;
    block = find(c, linear, c.mode);
    jumpBlock[slot] = block;
    return block;
  }

  private Block find(Cpu c, long linear, int mode) {
    running = null;
    if (!c.is64() && Long.compareUnsigned(c.rip, c.segmentLimit[Cpu.CS] & 0xFFFF_FFFFL) > 0) {
      throw c.generalProtection(0);
    }
    var code = partition.code();
    long offset = c.mmu.fetchOffset(linear);
    if (offset < 0) {
      throw codeOutsideRam(linear);
    }
    var block = code.find(offset, mode);
    if (block != null && block.secondPage >= 0) {
      long second = c.mmu.fetchOffset((linear | 0xFFF) + 1 & (c.is64() ? -1L : 0xFFFF_FFFFL));
      if (second != block.secondPage) {
        code.drop(block, DropReason.PAGE_MOVED);
        block = null;
      }
    }
    if (block == null) {
      long start = System.nanoTime();
      blocksDecoded++;
      block = decoder.decode(linear, offset, (mode & Cpu.MODE_SINGLE) != 0);
      code.add(block);
      if (!decoder.unchanged(block)) {
        code.drop(block, DropReason.WRITTEN_MEANWHILE);
      }
      decodingNanos += System.nanoTime() - start;
    }
    return block;
  }

  /// Runs one instruction, for the trap flag, an interrupt shadow, or code that writes itself.
  private void step() {
    var c = cpu;
    boolean trap = (c.systemFlags & Cpu.TF) != 0;
    boolean shadow = c.interruptShadow;
    stepOnce = false;
    if (c.trapPending) {
      EventDelivery.singleStepTrap(c, false);
      return;
    }
    long linear = c.is64() ? c.rip : c.rip + c.segmentBase[Cpu.CS] & 0xFFFF_FFFFL;
    if (!c.debugShadow) {
      EventDelivery.checkInstructionBreakpoints(c, linear);
    }
    var block = find(c, linear, c.mode | Cpu.MODE_SINGLE);
    running = block;
    c.r[Cpu.RIP_BASE] = c.rip;
    c.systemFlags &= ~Cpu.RF;
    c.debugShadow = false;
    c.stepTrapCancelled = false;
    var operations = block.operations;
    runningOperation = 0;
    operations[0].execute(c);
    if (operations.length > 1) {
      operations[1].execute(c);
    }
    running = null;
    instructions++;
    budget--;
    if (shadow) {
      c.interruptShadow = false;
    }
    if (trap && !c.debugShadow && !c.stepTrapCancelled) {
      long next = c.ripMasked(c.r[Cpu.RIP_BASE] + operations[0].end);
      EventDelivery.singleStepTrap(c, c.rip == next);
    }
    if (!c.interruptShadow && (c.systemFlags & Cpu.TF) == 0 && !EventDelivery.breakpointsArmed(c)) {
      clear(STEP);
    }
  }

  /// Handles what was asked for between two blocks.
  ///
  /// @return false when run() is to return
  private boolean serve() {
    int asked = attention;
    if ((asked & CANCEL) != 0) {
      clear(CANCEL);
      return false;
    }
    if ((asked & HALT) != 0) {
      clear(HALT);
    }
    if ((asked & PAUSE) != 0) {
      clear(PAUSE);
      partition.rendezvous().pause();
    }
    if ((asked & INIT) != 0) {
      clear(INIT);
      Reset.reset(cpu, true);
      cpu.halted = false;
      waitForStartup = index != 0;
    }
    if ((asked & STARTUP) != 0) {
      clear(STARTUP);
      if (waitForStartup) {
        waitForStartup = false;
        cpu.halted = false;
        Reset.startup(cpu, startupVector);
      }
    }
    if (waitForStartup) {
      clear(INTERRUPT | NMI);
      return true;
    }
    if (cpu.interruptShadow || stepOnce) {
      return true;
    }
    if ((asked & NMI) != 0 && !cpu.nmiMasked) {
      clear(NMI);
      cpu.halted = false;
      EventDelivery.nmi(cpu);
    }
    if ((asked & INTERRUPT) != 0) {
      clear(INTERRUPT);
      if ((cpu.systemFlags & Cpu.IF) != 0) {
        takeInterrupt();
      }
    }
    return true;
  }

  private void takeInterrupt() {
    if (!apic.interruptPending()) {
      return;
    }
    int vector = apic.acknowledge();
    if (vector == LocalApic.EXTERNAL) {
      intercept(externalInterrupt.prepare());
      vector = externalInterrupt.vector;
    }
    if (vector >= 0) {
      cpu.halted = false;
      interrupts++;
      EventDelivery.interrupt(cpu, vector & 0xFF);
    }
    if (apic.interruptPending()) {
      ATTENTION.getAndBitwiseOr(this, INTERRUPT);
    }
  }

  private void sleep() {
    if (cpu.halted) {
      intercept(halt.prepare((cpu.systemFlags & Cpu.IF) == 0));
    }
    halts++;
    long start = System.nanoTime();
    partition.rendezvous().leave();
    parked = true;
    try {
      while ((attention & WAKE) == 0) {
        LockSupport.park(this);
        if (Thread.interrupted()) {
          request(CANCEL);
        }
      }
    } finally {
      parked = false;
      haltedNanos += System.nanoTime() - start;
      partition.rendezvous().enter();
    }
  }

  private void shutDown(Intercept.Shutdown.Reason reason, String detail) {
    backToInstruction();
    ProcessorState state = state();
    var h = handler;
    if (h != null) {
      h.handle(this, new Intercept.Shutdown(reason, detail, state, codeAtRip()));
    }
  }

  private byte[] codeAtRip() {
    var bytes = new byte[15];
    int n = 0;
    try {
      long linear = cpu.rip + cpu.segmentBase[Cpu.CS];
      while (n < bytes.length) {
        long offset = cpu.mmu.fetchOffset(linear + n);
        if (offset < 0) {
          break;
        }
        bytes[n] = (byte) Raw.getByte(partition.memory().segment().address() + offset);
        n++;
      }
    } catch (GuestFault e) {
      // Not mapped: what could be read so far is the answer.
      return Arrays.copyOf(bytes, n);
    }
    return Arrays.copyOf(bytes, n);
  }
}
