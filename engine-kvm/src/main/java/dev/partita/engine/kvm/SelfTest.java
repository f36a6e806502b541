package dev.partita.engine.kvm;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Events;
import dev.partita.hypervisor.ProcessorState.Segment;
import dev.partita.hypervisor.ProcessorState.Table;
import dev.partita.hypervisor.VirtualProcessor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/// Finds out whether the host's KVM can run an ordinary operating system well, by running a small
/// guest.
///
/// There are kernels whose KVM has no hardware under it: guest kernel code is interpreted,
/// slowly, and not all of it. So the guest does what every 64-bit kernel does (initialise the x87
/// unit, CPUID, SSE, MSRs, to user mode by SYSRET and back by SYSCALL), and then a loop whose
/// speed is measured.
public final class SelfTest {
  /// What the test found.
  ///
  /// @param works whether an ordinary operating system will run well
  /// @param reason why, or why not; a phrase for the operator
  public record Result(boolean works, String reason) {}

  /// How long the guest may take in all, on a busy host too. With hardware it needs less than a
  /// millisecond.
  private static final long LIMIT_MILLIS = 1000;

  /// How often the loop is measured; the best counts, for the host may be busy.
  private static final int ROUNDS = 5;

  private static final int LOOPS = 50_000;
  private static final long LOOP_INSTRUCTIONS = 2L * LOOPS;

  /// Guest instructions a second that hardware surpasses by far, and an interpreter never reaches.
  private static final long SLOWEST = 50_000_000L;

  private static final int BEGIN_PORT = 0xF3;
  private static final int END_PORT = 0xF4;

  private static final long PML4 = 0x1000;
  private static final long PDPT = 0x2000;
  private static final long PAGE_DIRECTORY = 0x3000;
  private static final long GDT = 0x4000;
  private static final long TASK_STATE = 0x5000;
  private static final long STACK = 0x7000;
  private static final long KERNEL = 0x8000;
  private static final long SYSTEM_CALL = 0x9000;
  private static final long USER = 0xA000;

  private static final int CODE = 0x08;
  private static final int DATA = 0x10;
  private static final int TASK = 0x28;

  private static final String KERNEL_CODE =
      "DBE3" // fninit
          + "B801000000 0FA2" // mov eax, 1; cpuid
          + "66480F6EC0" // movq xmm0, rax
          + "B9820000C0 B800900000 31D2 0F30" // IA32_LSTAR = SYSTEM_CALL
          + "B9810000C0 31C0 BA08001000 0F30" // IA32_STAR: user at 0x10, kernel at 0x08
          + "B9840000C0 31C0 31D2 0F30" // IA32_FMASK = 0
          + "0F01F8 0F01F8" // swapgs; swapgs
          + "B900A00000 41BB02000000 480F07"; // mov ecx, USER; mov r11d, 2; sysretq

  private static final String USER_CODE = "B834120000 0F05"; // mov eax, 0x1234; syscall

  private static final String SYSTEM_CALL_CODE =
      "E6F3" // out BEGIN_PORT, al
          + "B950C30000" // mov ecx, 50000
          + "FFC9 75FC" // dec ecx; jnz
          + "E6F4" // out END_PORT, al
          + "EBF1"; // jmp to the begin

  private long began;
  private long best = Long.MAX_VALUE;
  private int rounds;
  private Intercept.@Nullable Shutdown shutdown;

  private final KvmEngine engine;

  private SelfTest(KvmEngine engine) {
    this.engine = engine;
  }

  static Result run(KvmEngine engine) {
    try (var memory = new GuestMemory(GuestMemory.MINIMUM_SIZE);
        var time = new ManualTimeSource(0)) {
      var configuration =
          new PartitionConfiguration(
              1,
              memory,
              engine.supportedCpuid(),
              engine.tscFrequency(),
              time,
              p -> {
                throw new IllegalStateException("KVM has local APICs of its own");
              });
      try (var partition = engine.createPartition(configuration)) {
        layOut(memory);
        return new SelfTest(engine).measure(partition);
      }
    } catch (PartitionException e) {
      return new Result(false, String.valueOf(e.getMessage()));
    }
  }

  private Result measure(Partition partition) {
    var processor = partition.processors().getFirst();
    var failure = new AtomicReference<RuntimeException>();
    try {
      processor.setState(initialState());
    } catch (IllegalArgumentException e) {
      return new Result(false, withModules(String.valueOf(e.getMessage())));
    }
    var thread =
        Thread.ofPlatform()
            .name("partita-kvm-self-test")
            .daemon()
            .start(
                () -> {
                  try {
                    processor.run(this::handle);
                  } catch (RuntimeException e) {
                    failure.set(e);
                  }
                });
    try {
      thread.join(LIMIT_MILLIS);
      processor.cancel();
      thread.join();
    } catch (InterruptedException e) {
      processor.cancel();
      Thread.currentThread().interrupt();
      return new Result(false, "interrupted");
    }
    var failed = failure.get();
    if (failed != null) {
      return new Result(false, withModules(String.valueOf(failed.getMessage())));
    }
    return judge();
  }

  private Result judge() {
    var stop = shutdown;
    if (stop != null) {
      var what =
          stop.reason() == Intercept.Shutdown.Reason.UNSUPPORTED
              ? "it cannot emulate an instruction"
              : stop.detail();
      return new Result(
          false,
          withModules(
              "%s is there but cannot run an ordinary kernel: %s in %s mode"
                  .formatted(
                      engine.device(), what, stop.state().rip() >= USER ? "user" : "kernel")));
    }
    if (best == Long.MAX_VALUE) {
      return new Result(
          false,
          withModules(
              engine.device() + " is there but a guest got nowhere in " + LIMIT_MILLIS + " ms"));
    }
    long speed = LOOP_INSTRUCTIONS * 1_000_000_000L / Math.max(best, 1);
    return speed < SLOWEST
        ? new Result(
            false,
            withModules(
                "%s is there but interprets guest code, %d million instructions a second"
                    .formatted(engine.device(), speed / 1_000_000)))
        : new Result(true, engine.device() + " runs guests at the hardware's speed");
  }

  private static String withModules(String text) {
    var modules = KvmHost.modules();
    return modules.isEmpty() ? text : text + " (module " + String.join(", ", modules) + ")";
  }

  private void handle(VirtualProcessor processor, Intercept intercept) {
    switch (intercept) {
      case Intercept.PortWrite write when write.port == BEGIN_PORT -> began = System.nanoTime();
      case Intercept.PortWrite write when write.port == END_PORT -> {
        best = Math.min(best, System.nanoTime() - began);
        if (++rounds == ROUNDS) {
          processor.cancel();
        }
      }
      case Intercept.Shutdown stop -> shutdown = stop;
      default -> {}
    }
  }

  private static void layOut(GuestMemory memory) {
    // The first 2 MiB at their own addresses, for user mode too.
    memory.writeLong(PML4, PDPT | 7);
    memory.writeLong(PDPT, PAGE_DIRECTORY | 7);
    memory.writeLong(PAGE_DIRECTORY, 0x87);
    memory.writeLong(GDT + CODE, 0x00AF_9B00_0000_FFFFL);
    memory.writeLong(GDT + DATA, 0x00CF_9300_0000_FFFFL);
    memory.writeLong(GDT + 0x18, 0x00CF_F300_0000_FFFFL);
    memory.writeLong(GDT + 0x20, 0x00AF_FB00_0000_FFFFL);
    memory.writeLong(GDT + TASK, 0x0000_8B00_0000_0067L | TASK_STATE << 16);
    memory.write(KERNEL, bytes(KERNEL_CODE));
    memory.write(SYSTEM_CALL, bytes(SYSTEM_CALL_CODE));
    memory.write(USER, bytes(USER_CODE));
  }

  private static byte[] bytes(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  /// 64-bit mode at level 0, with flat segments.
  private static ProcessorState initialState() {
    var general = new long[16];
    general[ProcessorState.RSP] = STACK;
    var data = new Segment(DATA, 0, -1, 0xC093);
    var xsave = ByteBuffer.allocate(ProcessorState.XSAVE_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    xsave.putShort(0, (short) 0x37F);
    xsave.putInt(24, 0x1F80);
    xsave.putLong(512, 3);
    return new ProcessorState(
        general,
        KERNEL,
        2,
        data,
        new Segment(CODE, 0, -1, 0xA09B),
        data,
        data,
        data,
        data,
        new Segment(0, 0, 0, Segment.UNUSABLE),
        new Segment(TASK, TASK_STATE, 0x67, 0x8B),
        new Table(GDT, 0x37),
        new Table(0, 0),
        0x8000_0033L, // PG, NE, ET, MP, PE
        0,
        PML4,
        0x620, // OSXMMEXCPT, OSFXSR, PAE
        0x501, // LMA, LME, SCE
        1,
        new long[] {0, 0, 0, 0, 0xFFFF_0FF0L, 0x400},
        xsave.array(),
        List.of(),
        0,
        Events.NONE,
        null);
  }
}
