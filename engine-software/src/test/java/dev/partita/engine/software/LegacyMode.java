package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Assumptions;

/// Differential tests of 32- and 16-bit code: on the host, 64-bit code jumps into a code segment of
/// that size and back; in the engine the same bytes run with the same segments.
///
/// The general registers' low halves are compared, R8 to R15 must not change. 32-bit code has flat
/// segments. 16-bit code sees {@link MachineState#CODE} as its code segment and {@link
/// MachineState#MEMORY} as its data and stack segment, 4 KiB long; RSP is as in 64-bit mode, whose
/// low 16 bits are the offset there.
enum LegacyMode {
  CODE_32(32, 0x23, 0x2B),
  CODE_16(16, 0x07, 0x0F);

  /// Where the code under test begins, as an offset in the wrapper: the same for both modes.
  private static final int START = 64;

  // Linux's selectors of 64-bit user code and of user data.
  private static final int USER_CODE_64 = 0x33;
  private static final int USER_DATA = 0x2B;

  private static final String NO_LDT = makeSegments();

  /// 16 or 32.
  final int size;

  private final int codeSelector;
  private final int dataSelector;

  LegacyMode(int size, int codeSelector, int dataSelector) {
    this.size = size;
    this.codeSelector = codeSelector;
    this.dataSelector = dataSelector;
  }

  /// Skips the calling test where the host cannot run such code.
  void require() {
    NativeProcessor.require();
    Assumptions.assumeTrue(
        this == CODE_32 || NO_LDT.isEmpty(), () -> "no 16-bit code on the host: " + NO_LDT);
  }

  /// The offset in the data segment of {@link MachineState#MEMORY}.
  long memoryOffset() {
    return size == 16 ? 0 : MachineState.MEMORY;
  }

  /// A random state; the registers hold 32 bits.
  MachineState state(java.util.random.RandomGenerator random) {
    var state = MachineState.random(random);
    for (int i = 0; i < 8; i++) {
      state.general[i] &= 0xFFFF_FFFFL;
    }
    return state;
  }

  /// Runs code on the host and in the engine from the same state; fails if what comes out differs.
  void compare(byte[] code, MachineState state, int flagMask) {
    require();
    var wrapped = wrap(code);
    var expected = low(NativeProcessor.run(wrapped, state));
    MachineState actual;
    try {
      int vector = Engine.of(this).run(wrapped, START, START + code.length, state);
      if (vector >= 0) {
        throw new AssertionError("the engine raised exception " + vector);
      }
      actual = low(Engine.of(this).state());
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError(
          "%s, %d bits: %s\nbefore:\n%s".formatted(Differential.bytes(code), size, e, state), e);
    }
    String difference = Differential.difference(expected, actual, flagMask);
    if (!difference.isEmpty()) {
      throw new AssertionError(
          "%s, %d bits: the engine differs from the host\n%s\nbefore:\n%s"
              .formatted(Differential.bytes(code), size, difference, state));
    }
  }

  /// Runs code in the engine alone, up to its end or an exception.
  ///
  /// @return the exception's vector, or -1; the state after is {@link #stateAfter()}
  int run(byte[] code, MachineState state) {
    return Engine.of(this).run(wrap(code), START, START + code.length, state);
  }

  MachineState stateAfter() {
    return Engine.of(this).state();
  }

  Cpu cpu() {
    return Engine.of(this).cpu;
  }

  private static MachineState low(MachineState state) {
    for (int i = 0; i < 8; i++) {
      state.general[i] &= 0xFFFF_FFFFL;
    }
    return state;
  }

  /// The code with what leads there and back.
  private byte[] wrap(byte[] code) {
    var out = new ByteArrayOutputStream();
    int pointer = START + code.length + 8;
    int data = pointer + 6;
    int user = data + 2;
    int zero = user + 2;
    int back = zero + 2;
    loadSegment(out, Cpu.DS, data);
    loadSegment(out, Cpu.ES, data);
    loadSegment(out, Cpu.SS, data);
    // JMP far [pointer]
    out.writeBytes(new byte[] {(byte) 0xFF, 0x2C, 0x25});
    number(out, MachineState.CODE + pointer, 4);
    while (out.size() < START) {
      out.write(0x90);
    }
    out.writeBytes(code);
    // JMP far to the end; in 16-bit code with a 32-bit operand
    out.write(size == 16 ? 0x66 : 0x3E);
    out.write(0xEA);
    number(out, MachineState.CODE + back, 4);
    number(out, USER_CODE_64, 2);
    number(out, size == 16 ? START : MachineState.CODE + START, 4);
    number(out, codeSelector, 2);
    number(out, dataSelector, 2);
    number(out, USER_DATA, 2);
    number(out, 0, 2);
    loadSegment(out, Cpu.DS, zero);
    loadSegment(out, Cpu.ES, zero);
    loadSegment(out, Cpu.SS, user);
    return out.toByteArray();
  }

  /// MOV segment, [absolute].
  private static void loadSegment(ByteArrayOutputStream out, int segment, int offset) {
    out.write(0x8E);
    out.write(segment << 3 | 4);
    out.write(0x25);
    number(out, MachineState.CODE + offset, 4);
  }

  private static void number(ByteArrayOutputStream out, long value, int bytes) {
    for (int i = 0; i < bytes; i++) {
      out.write((int) (value >>> 8 * i));
    }
  }

  /// Makes the 16-bit segments in the process's local descriptor table: modify_ldt(2).
  ///
  /// @return empty, or why there are none
  private static String makeSegments() {
    if (!System.getProperty("os.name", "").equals("Linux")
        || !System.getProperty("os.arch", "").equals("amd64")) {
      return "the host is not Linux on x86-64";
    }
    var linker = Linker.nativeLinker();
    var syscall =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("syscall"),
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG),
            Linker.Option.firstVariadicArg(1));
    try (var arena = Arena.ofConfined()) {
      // struct user_desc: number, base, limit, flags (bits 2:1 contents: 2 code, 0 data; bit 6
      // usable).
      long[][] segments = {
        {0, MachineState.CODE, 0xFFFF, 2 << 1 | 1 << 6},
        {1, MachineState.MEMORY, MachineState.MEMORY_SIZE - 1, 1 << 6}
      };
      for (long[] segment : segments) {
        MemorySegment description = arena.allocate(16, 4);
        for (int i = 0; i < 4; i++) {
          description.setAtIndex(ValueLayout.JAVA_INT, i, (int) segment[i]);
        }
        long result = (long) syscall.invokeExact(154L, 1L, description, 16L);
        if (result != 0) {
          return "modify_ldt gave " + result;
        }
      }
      return "";
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /// The engine in such a mode.
  private static final class Engine {
    private static final Engine IN_32 = new Engine(CODE_32);
    private static final Engine IN_16 = new Engine(CODE_16);
    private static final int LIMIT = 100_000;

    private final EngineProcessor processor = new EngineProcessor();
    private final Cpu cpu = processor.cpu();
    private final Decoder decoder;

    private Engine(LegacyMode mode) {
      var partition = cpu.owner.partition();
      decoder = new Decoder(cpu, cpu.mmu, partition.memory().segment().address(), partition.code());
      boolean small = mode.size == 16;
      cpu.segmentSelector[Cpu.CS] = mode.codeSelector;
      cpu.segmentBase[Cpu.CS] = small ? MachineState.CODE : 0;
      cpu.segmentLimit[Cpu.CS] = small ? 0xFFFF : -1;
      cpu.segmentAttributes[Cpu.CS] = small ? 0x00FB : 0xC0FB;
      for (int segment : new int[] {Cpu.DS, Cpu.ES, Cpu.SS}) {
        cpu.segmentSelector[segment] = mode.dataSelector;
        cpu.segmentBase[segment] = small ? MachineState.MEMORY : 0;
        cpu.segmentLimit[segment] = small ? MachineState.MEMORY_SIZE - 1 : -1;
        cpu.segmentAttributes[segment] = small ? 0x00F3 : 0xC0F3;
      }
      cpu.modeChanged();
    }

    static Engine of(LegacyMode mode) {
      return mode == CODE_16 ? IN_16 : IN_32;
    }

    /// Runs the code between two offsets.
    ///
    /// @return the vector of an exception, or -1
    int run(byte[] code, int from, int to, MachineState state) {
      processor.prepare(code, state);
      long base = cpu.segmentBase[Cpu.CS];
      cpu.rip = MachineState.CODE + from - base;
      long end = MachineState.CODE + to - base;
      try {
        for (int n = 0; cpu.rip != end; n++) {
          if (n == LIMIT) {
            throw new AssertionError("the code does not end");
          }
          long linear = cpu.rip + base;
          var block = decoder.decode(linear, cpu.mmu.fetchOffset(linear), true);
          cpu.r[Cpu.RIP_BASE] = cpu.rip;
          for (var operation : block.operations) {
            operation.execute(cpu);
          }
        }
        return -1;
      } catch (GuestFault fault) {
        return fault.vector;
      }
    }

    MachineState state() {
      return processor.state();
    }
  }
}
