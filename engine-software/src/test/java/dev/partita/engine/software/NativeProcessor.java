package dev.partita.engine.software;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;

/// Runs machine code on the host's own processor, in user mode: the truth that the engine is
/// compared with. Only on Linux on x86-64; elsewhere {@link #require()} skips the test.
///
/// The code must not fault and must end by running into its end (or by a branch there): a signal
/// would end the JVM. RSP must point into {@link MachineState#memory} or below it by at most some
/// hundred KiB.
///
/// A region of memory at a fixed address holds everything, so that addresses are the same here and
/// in the guest:
///
/// | offset | what |
/// |---|---|
/// | 0 | the code under test, and a jump to the epilogue after it |
/// | 0x1000 | prologue and epilogue |
/// | 0x2000 | state before: FXSAVE image, general registers, flags |
/// | 0x2400 | state after |
/// | 0x2800 | the host's FXSAVE image and RSP |
/// | 0x3000 | YMM registers before, all 256 bits; if the host has AVX |
/// | 0x3400 | YMM registers after |
/// | 0x100000 | {@link MachineState#memory} |
final class NativeProcessor {
  /// Most bytes of code.
  static final int CODE_SIZE = 0xFF0;

  private static final long STUB = 0x1000;
  private static final long BEFORE = 0x2000;
  private static final long AFTER = 0x2400;
  private static final long HOST = 0x2800;
  private static final long HOST_RSP = HOST + 512;
  private static final long YMM_BEFORE = 0x3000;
  private static final long YMM_AFTER = 0x3400;
  private static final int GENERAL = 512;
  private static final int FLAGS = 640;
  private static final long REGION_SIZE = 0x20_0000;

  // <sys/mman.h> on Linux x86-64.
  private static final int PROT_READ_WRITE_EXEC = 7;
  private static final int MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x02 | 0x20 | 0x10_0000;

  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  /// The features of the host's processor, by Linux's names.
  private static final Set<String> FEATURES = features();

  private static final @Nullable NativeProcessor INSTANCE;
  private static final String REASON;

  static {
    NativeProcessor instance = null;
    String reason = "";
    if (!System.getProperty("os.name", "").equals("Linux")
        || !System.getProperty("os.arch", "").equals("amd64")) {
      reason = "the host is not Linux on x86-64";
    } else {
      try {
        instance = new NativeProcessor();
      } catch (IllegalStateException e) {
        reason = String.valueOf(e.getMessage());
      }
    }
    INSTANCE = instance;
    REASON = reason;
  }

  private final MemorySegment region;
  private final MethodHandle stub;
  private final long epilogue;

  private NativeProcessor() {
    var linker = Linker.nativeLinker();
    var mmap =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("mmap"),
            FunctionDescriptor.of(
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));
    MemorySegment mapped;
    try {
      mapped =
          (MemorySegment)
              mmap.invokeExact(
                  MemorySegment.ofAddress(MachineState.CODE),
                  REGION_SIZE,
                  PROT_READ_WRITE_EXEC,
                  MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE,
                  -1,
                  0L);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    if (mapped.address() != MachineState.CODE) {
      throw new IllegalStateException("the host gives no executable memory at a fixed address");
    }
    region = mapped.reinterpret(REGION_SIZE);
    var code = new StubWriter();
    epilogue = code.write();
    stub =
        linker.downcallHandle(
            MemorySegment.ofAddress(MachineState.CODE + STUB), FunctionDescriptor.ofVoid());
  }

  /// Skips the calling test where code cannot run natively.
  static void require() {
    Assumptions.assumeTrue(INSTANCE != null, () -> "no native differential tests: " + REASON);
  }

  /// Skips the calling test where the host's processor does not have some features.
  ///
  /// @param features by Linux's names in /proc/cpuinfo
  static void requireFeatures(String... features) {
    require();
    for (String feature : features) {
      Assumptions.assumeTrue(
          FEATURES.contains(feature), () -> "the host's processor has no " + feature);
    }
  }

  static boolean has(String feature) {
    return FEATURES.contains(feature);
  }

  private static Set<String> features() {
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("flags"))
          .findFirst()
          .map(line -> Set.of(line.substring(line.indexOf(':') + 1).trim().split(" +")))
          .orElse(Set.of());
    } catch (IOException | UncheckedIOException e) {
      return Set.of();
    }
  }

  /// Runs code from a state.
  ///
  /// @param code at {@link MachineState#CODE}, at most {@link #CODE_SIZE} bytes
  /// @param state is not changed
  /// @return the state after
  static synchronized MachineState run(byte[] code, MachineState state) {
    require();
    var processor = INSTANCE;
    if (processor == null) {
      throw new IllegalStateException(REASON);
    }
    return processor.execute(code, state);
  }

  private MachineState execute(byte[] code, MachineState state) {
    if (code.length > CODE_SIZE) {
      throw new IllegalArgumentException(code.length + " bytes of code");
    }
    long stack = state.general[Cpu.RSP] - MachineState.CODE;
    if (stack < 0x8_0000 || stack > REGION_SIZE) {
      throw new IllegalArgumentException("RSP outside the test's memory");
    }
    MemorySegment.copy(code, 0, region, ValueLayout.JAVA_BYTE, 0, code.length);
    region.set(ValueLayout.JAVA_BYTE, code.length, (byte) 0xE9);
    region.set(
        ValueLayout.JAVA_INT_UNALIGNED, code.length + 1, (int) (epilogue - (code.length + 5)));
    long memory = MachineState.MEMORY - MachineState.CODE;
    MemorySegment.copy(
        state.memory, 0, region, ValueLayout.JAVA_BYTE, memory, MachineState.MEMORY_SIZE);
    MemorySegment.copy(state.x87, 0, region, ValueLayout.JAVA_BYTE, BEFORE, MachineState.X87_SIZE);
    region.set(ValueLayout.JAVA_INT_UNALIGNED, BEFORE + 24, state.mxcsr);
    region.set(ValueLayout.JAVA_INT_UNALIGNED, BEFORE + 28, 0);
    for (int i = 0; i < 32; i++) {
      region.set(LONG, BEFORE + 160 + 8 * i, state.xmm[i]);
    }
    for (int i = 0; i < 16; i++) {
      region.set(LONG, YMM_BEFORE + 32 * i, state.xmm[2 * i]);
      region.set(LONG, YMM_BEFORE + 32 * i + 8, state.xmm[2 * i + 1]);
      region.set(LONG, YMM_BEFORE + 32 * i + 16, state.ymm[2 * i]);
      region.set(LONG, YMM_BEFORE + 32 * i + 24, state.ymm[2 * i + 1]);
    }
    for (int i = 0; i < 16; i++) {
      region.set(LONG, BEFORE + GENERAL + 8 * i, state.general[i]);
    }
    region.set(LONG, BEFORE + FLAGS, state.flags & (Cpu.ARITHMETIC | Cpu.DF) | Cpu.IF | 2);
    try {
      stub.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    var after = new MachineState();
    MemorySegment.copy(
        region, ValueLayout.JAVA_BYTE, memory, after.memory, 0, MachineState.MEMORY_SIZE);
    MemorySegment.copy(region, ValueLayout.JAVA_BYTE, AFTER, after.x87, 0, MachineState.X87_SIZE);
    after.mxcsr = region.get(ValueLayout.JAVA_INT_UNALIGNED, AFTER + 24);
    for (int i = 0; i < 32; i++) {
      after.xmm[i] = region.get(LONG, AFTER + 160 + 8 * i);
    }
    for (int i = 0; i < 16; i++) {
      boolean avx = FEATURES.contains("avx");
      after.ymm[2 * i] = avx ? region.get(LONG, YMM_AFTER + 32 * i + 16) : state.ymm[2 * i];
      after.ymm[2 * i + 1] = avx ? region.get(LONG, YMM_AFTER + 32 * i + 24) : state.ymm[2 * i + 1];
    }
    for (int i = 0; i < 16; i++) {
      after.general[i] = region.get(LONG, AFTER + GENERAL + 8 * i);
    }
    after.flags = region.get(LONG, AFTER + FLAGS);
    return after;
  }

  /// Writes prologue and epilogue. All addresses are below 2 GiB, so that absolute 32-bit
  /// addressing reaches them.
  private final class StubWriter {
    private long at = STUB;

    private void bytes(int... values) {
      for (int value : values) {
        region.set(ValueLayout.JAVA_BYTE, at++, (byte) value);
      }
    }

    private void address(long offset) {
      region.set(ValueLayout.JAVA_INT_UNALIGNED, at, (int) (MachineState.CODE + offset));
      at += 4;
    }

    /// MOV between a general register and an absolute address.
    private void move(int opcode, int register, long offset) {
      bytes(register < 8 ? 0x48 : 0x4C, opcode, (register & 7) << 3 | 4, 0x25);
      address(offset);
    }

    /// FXSAVE64 (extension 0) or FXRSTOR64 (1).
    private void image(int extension, long offset) {
      bytes(0x48, 0x0F, 0xAE, extension << 3 | 4, 0x25);
      address(offset);
    }

    /// VMOVUPS of all YMM registers: opcode 10 loads, 11 stores.
    private void wideRegisters(int opcode, long offset) {
      if (!FEATURES.contains("avx")) {
        return;
      }
      for (int i = 0; i < 16; i++) {
        bytes(0xC5, i < 8 ? 0xFC : 0x7C, opcode, (i & 7) << 3 | 4, 0x25);
        address(offset + 32 * i);
      }
    }

    /// Writes it all.
    ///
    /// @return the epilogue's offset
    long write() {
      // push rbx, rbp, r12 to r15; pushfq
      bytes(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x9C);
      image(0, HOST);
      move(0x89, Cpu.RSP, HOST_RSP);
      image(1, BEFORE);
      wideRegisters(0x10, YMM_BEFORE);
      // push qword [flags]; popfq
      bytes(0xFF, 0x34, 0x25);
      address(BEFORE + FLAGS);
      bytes(0x9D);
      for (int i = 0; i < 16; i++) {
        move(0x8B, i, BEFORE + GENERAL + 8 * i);
      }
      // jmp to the code under test
      bytes(0xE9);
      region.set(ValueLayout.JAVA_INT_UNALIGNED, at, (int) -(at + 4));
      at += 4;
      long epilogueStart = at;
      for (int i = 0; i < 16; i++) {
        move(0x89, i, AFTER + GENERAL + 8 * i);
      }
      move(0x8B, Cpu.RSP, HOST_RSP);
      // pushfq; pop qword [flags]
      bytes(0x9C, 0x8F, 0x04, 0x25);
      address(AFTER + FLAGS);
      image(0, AFTER);
      wideRegisters(0x11, YMM_AFTER);
      if (FEATURES.contains("avx")) {
        // vzeroupper
        bytes(0xC5, 0xF8, 0x77);
      }
      image(1, HOST);
      // popfq; pop r15 to r12, rbp, rbx; ret
      bytes(0x9D, 0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3);
      return epilogueStart;
    }
  }
}
