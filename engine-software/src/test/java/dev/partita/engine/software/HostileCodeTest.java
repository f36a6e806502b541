package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Guest code that means harm, in every mode: each run ends in an exception of the guest, its
/// shutdown, a halt, or the end of its budget. Nothing comes out of the engine as a Java exception,
/// and nothing hangs.
class HostileCodeTest {
  /// Runs in each mode, of {@link #ENTRIES} entries; more with -Dpartita.hostile.runs.
  private static final int RUNS = Integer.getInteger("partita.hostile.runs", 60);

  /// The first seed; another set of runs with -Dpartita.hostile.seed.
  private static final long FIRST_SEED = Long.getLong("partita.hostile.seed", 0);

  private static final int ENTRIES = 16;

  private static final long BUDGET = 1_000;

  /// Intercepts after which a run is cancelled: a repeated instruction on a device counts as one
  /// instruction for each stretch.
  private static final int MOST_INTERCEPTS = 2_000;

  /// Seconds after which a run counts as hung. A run takes milliseconds.
  private static final int PATIENCE = 120;

  /// HLT, and a jump back to it.
  private static final byte[] HALT = {(byte) 0xF4, (byte) 0xEB, (byte) 0xFD};

  private static final int CODE_SIZE = 256;

  enum Mode {
    LONG_0,
    LONG_3,
    COMPATIBILITY_3,
    PROTECTED_0,
    PROTECTED_3,
    PROTECTED_16,
    PAGED_32,
    VIRTUAL_8086,
    REAL
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void neverHarmsTheEngine(Mode mode) throws InterruptedException {
    runAll(runs(mode, RUNS, 1));
  }

  private static List<Run> runs(Mode mode, int count, int processors) {
    var runs = new ArrayList<Run>();
    for (long seed = FIRST_SEED; seed < FIRST_SEED + count; seed++) {
      var random = new Random(seed * 16 + mode.ordinal());
      runs.add(new Run(mode, seed, processors, HostileCode.random(random, CODE_SIZE)));
    }
    return runs;
  }

  /// What once did harm.
  @ParameterizedTest
  @CsvSource({"LONG_0, 0, 90"})
  void harmsNoMore(Mode mode, long seed, String code) throws InterruptedException {
    runAll(List.of(new Run(mode, seed, 1, HexFormat.of().parseHex(code))));
  }

  /// Two processors share the memory, the code and the tables; how they meet is not repeatable.
  @ParameterizedTest
  @EnumSource(
      value = Mode.class,
      names = {"LONG_0", "LONG_3", "PROTECTED_0", "REAL"})
  void twoProcessorsNeverHarmTheEngine(Mode mode) throws InterruptedException {
    runAll(runs(mode, RUNS / 4 + 1, 2));
  }

  /// One run: everything follows from it.
  ///
  /// @param seed of the registers and flags
  /// @param processors 1 or 2
  private record Run(Mode mode, long seed, int processors, byte[] code) {
    @Override
    public String toString() {
      String code = HexFormat.of().formatHex(this.code);
      return "%s, %d, %s (%d processors)".formatted(mode, seed, code, processors);
    }
  }

  private static void runAll(List<Run> runs) throws InterruptedException {
    var failures = java.util.Collections.synchronizedList(new ArrayList<String>());
    var current = new AtomicReference<Run>();
    var done = new AtomicLong();
    var worker =
        new Thread(
            () -> {
              for (var run : runs) {
                current.set(run);
                try {
                  String failure = execute(run);
                  if (!failure.isEmpty()) {
                    failures.add(run + "\n  " + failure);
                  }
                } catch (RuntimeException | Error e) {
                  var text = new java.io.StringWriter();
                  e.printStackTrace(new java.io.PrintWriter(text));
                  failures.add(run + "\n  " + text);
                }
                done.incrementAndGet();
              }
            },
            "hostile guest");
    worker.setDaemon(true);
    worker.start();
    long last = -1;
    while (worker.isAlive()) {
      worker.join(PATIENCE * 1000L);
      if (worker.isAlive() && done.get() == last) {
        var trace = new StringBuilder();
        for (var frame : worker.getStackTrace()) {
          trace.append("\n    ").append(frame);
        }
        failures.add("hung: " + current.get() + trace);
        break;
      }
      last = done.get();
    }
    assertThat(failures.stream().limit(5).toList())
        .as("%d of %d runs did harm", failures.size(), runs.size())
        .isEmpty();
  }

  /// Enters the code again and again at other places, with what the last time left in memory.
  ///
  /// @return what went wrong, or nothing
  private static String execute(Run run) {
    var random = new Random(run.seed * 31 + run.mode.ordinal());
    try (var guest = new Guest(run.processors)) {
      for (int entry = 0; entry < ENTRIES; entry++) {
        long at = enterMode(guest, run.mode, random);
        randomState(guest, run, random);
        guest.memory.write(at, run.code);
        boolean calm = random.nextInt(4) != 0;
        for (int v = 0; v < 32; v++) {
          // Handlers halt, or do more.
          var handler = calm ? HALT : HostileCode.random(random, 16);
          guest.memory.write(Guest.HANDLERS + 16 * v, handler);
        }
        var c = guest.cpu();
        c.rip = entry == 0 ? at : at + random.nextInt(run.code.length);
        c.modeChanged();
        c.mmu.flush();
        String failure =
            run.processors == 1
                ? enter(guest.processor(), run)
                : enterBoth(guest, run, at + random.nextInt(run.code.length));
        if (!failure.isEmpty()) {
          return "entry " + entry + ": " + failure;
        }
      }
      return "";
    }
  }

  /// @param otherRip where the second processor begins
  private static String enterBoth(Guest guest, Run run, long otherRip) {
    var other = guest.partition.softwareProcessors().get(1);
    other.setState(guest.processor().state());
    other.cpu().rip = otherRip;
    var failure = new AtomicReference<>("");
    var thread = new Thread(() -> failure.set(enter(other, run)), "second processor");
    thread.setDaemon(true);
    thread.start();
    String first = enter(guest.processor(), run);
    try {
      thread.join(PATIENCE * 1000L);
    } catch (InterruptedException e) {
      return e.toString();
    }
    if (thread.isAlive()) {
      return "the second processor hangs: " + List.of(thread.getStackTrace());
    }
    return first + failure.get();
  }

  private static String enter(SoftwareProcessor processor, Run run) {
    var ending = new AtomicReference<Intercept.Shutdown>();
    processor.setBudget(BUDGET);
    var intercepts = new AtomicLong();
    var exit =
        processor.run(
            (p, intercept) -> {
              if (intercepts.incrementAndGet() > MOST_INTERCEPTS) {
                p.cancel();
              }
              handle(p, intercept, ending, run.seed);
            });
    var shutdown = ending.get();
    if (exit == RunExit.SHUTDOWN) {
      if (shutdown == null) {
        return "shut down without saying so";
      }
      if (shutdown.reason() == Intercept.Shutdown.Reason.INTERNAL_ERROR) {
        return "internal error: " + shutdown.detail();
      }
    }
    // Whatever state the guest got into can be saved, and loaded again.
    var state = processor.state();
    processor.setState(state);
    var again = processor.state();
    if (!java.util.Arrays.equals(state.general(), again.general())
        || state.rip() != again.rip()
        || state.rflags() != again.rflags()
        || !state.cs().equals(again.cs())
        || !java.util.Arrays.equals(state.xsave(), again.xsave())) {
      return "the state changes when saved and loaded";
    }
    return "";
  }

  /// A device that answers anything.
  private static void handle(
      VirtualProcessor processor,
      Intercept intercept,
      AtomicReference<Intercept.Shutdown> ending,
      long seed) {
    switch (intercept) {
      case Intercept.Halt h -> processor.cancel();
      case Intercept.PortRead r -> r.value = (int) (seed * 0x9E37_79B9L >> 7);
      case Intercept.MmioRead r -> r.value = seed * 0x9E37_79B9_7F4A_7C15L;
      case Intercept.MsrRead r -> {
        if ((r.index & 1) == 0) {
          r.answer(seed);
        }
      }
      case Intercept.MsrWrite w -> {
        if ((w.index & 2) == 0) {
          w.accept();
        }
      }
      case Intercept.Shutdown s -> ending.set(s);
      default -> {}
    }
  }

  /// Puts the processor into a mode, whatever the guest made of it before.
  ///
  /// @return where its code is
  private static long enterMode(Guest guest, Mode mode, Random random) {
    var c = guest.cpu();
    c.efer = 0;
    c.cr0 = Cpu.CR0_ET;
    c.cr3 = 0;
    c.cr4 = 0;
    c.cpl = 0;
    c.setFlags(2);
    long at = Guest.CODE;
    switch (mode) {
      case LONG_0 -> guest.longMode();
      case LONG_3 -> {
        guest.longMode().user();
        at = Guest.USER_CODE;
      }
      case COMPATIBILITY_3 -> {
        guest.longMode().user();
        Segments.setFlat(guest.cpu(), Cpu.CS, Guest.USER_CODE32, 0xC0FB);
        at = Guest.USER_CODE;
      }
      case PROTECTED_0 -> guest.protectedMode();
      case PROTECTED_3 -> {
        guest.protectedMode().user();
        at = Guest.USER_CODE;
      }
      case PROTECTED_16 -> {
        guest.protectedMode();
        Segments.setFlat(guest.cpu(), Cpu.CS, Guest.CODE16, 0x009B);
        Segments.setFlat(guest.cpu(), Cpu.SS, Guest.DATA16, 0x0093);
      }
      case PAGED_32 -> {
        guest.protectedMode();
        for (int i = 0; i < 1024; i++) {
          // 4 MiB pages: RAM for the supervisor, then for all, the rest as it comes.
          int entry = i == 0 ? 0x83 : i < 4 || random.nextInt(4) == 0 ? 0x87 : 0;
          guest.memory.writeInt(0x1_4000 + 4 * i, entry);
        }
        guest.cpu().cr3 = 0x1_4000;
        guest.cpu().cr4 |= Cpu.CR4_PSE;
        guest.cpu().cr0 |= Cpu.CR0_PG;
      }
      case VIRTUAL_8086 -> {
        guest.protectedMode();
        guest.cpu().cpl = 3;
        guest.cpu().setFlags(Cpu.VM | random.nextInt(4) << 12 | 2);
        for (int s = 0; s < 6; s++) {
          Segments.loadReal(guest.cpu(), s, 0);
        }
      }
      case REAL -> guest.realMode();
    }
    return at;
  }

  private static void randomState(Guest guest, Run run, Random random) {
    var c = guest.cpu();
    boolean small = run.mode.ordinal() >= Mode.VIRTUAL_8086.ordinal();
    for (int i = 0; i < 16; i++) {
      if (i != Cpu.RSP || random.nextInt(8) == 0) {
        c.r[i] =
            switch (random.nextInt(6)) {
              case 0 -> MachineState.interesting(random);
              case 1 -> Guest.CODE + random.nextInt(0x200);
              case 2 -> random.nextInt(256);
              case 3 -> Guest.GDT + random.nextInt(0x3000) & ~0x3F;
              default -> random.nextInt(4 << 20) & ~0x3F;
            };
      }
      if (!c.longMode()) {
        c.r[i] &= 0xFFFF_FFFFL;
      }
    }
    if (small && random.nextInt(4) != 0) {
      c.r[Cpu.RSP] = 0x7000;
    }
    for (int i = 0; i < 64; i++) {
      c.xmm[i] = (i & 2) == 0 ? MachineState.interesting(random) : 0;
    }
    c.mxcsr = random.nextInt(3) == 0 ? random.nextInt() & 0xFFFF : 0x1F80;
    c.x87.loadFxImage(X87States.random(random, true).x87);
    int flags = random.nextInt() & (Cpu.ARITHMETIC | Cpu.DF | Cpu.IF | Cpu.IOPL | Cpu.ID);
    if (random.nextInt(8) == 0) {
      flags |= random.nextInt() & (Cpu.TF | Cpu.NT | Cpu.AC | Cpu.RF);
    }
    c.setFlags(c.flags() & Cpu.VM | flags | 2);
    long optional =
        Cpu.CR4_OSXSAVE
            | Cpu.CR4_FSGSBASE
            | Cpu.CR4_UMIP
            | Cpu.CR4_TSD
            | Cpu.CR4_DE
            | Cpu.CR4_SMEP
            | Cpu.CR4_SMAP
            | Cpu.CR4_PCE
            | Cpu.CR4_VME
            | Cpu.CR4_PVI;
    c.cr4 |= random.nextLong() & optional;
    if ((c.cr4 & Cpu.CR4_OSXSAVE) != 0) {
      c.xcr0 = random.nextInt(4) == 0 ? 3 : 7;
    }
    if (random.nextInt(8) == 0) {
      c.cr0 ^= random.nextLong() & (Cpu.CR0_TS | Cpu.CR0_EM | Cpu.CR0_NE | Cpu.CR0_WP | Cpu.CR0_AM);
    }
    if (random.nextInt(8) == 0) {
      c.debug[7] = random.nextInt() & 0xFFFF_23FFL | 0x400;
      for (int i = 0; i < 4; i++) {
        c.debug[i] = Guest.CODE + random.nextInt(64);
      }
    }
    for (int i = 0; i < 64; i++) {
      guest.memory.writeLong(Guest.DATA + 8 * i, MachineState.interesting(random));
    }
  }

  @Test
  void generatorCoversAllKinds() {
    // The code differs from seed to seed and is what the seed says.
    var one = HostileCode.random(new Random(1), CODE_SIZE);
    assertThat(HostileCode.random(new Random(1), CODE_SIZE)).isEqualTo(one);
    assertThat(HostileCode.random(new Random(2), CODE_SIZE)).isNotEqualTo(one);
  }
}
