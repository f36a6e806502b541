package dev.partita.engine.software;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Assumptions;

/// Runs forms of general-register instructions with random operands on the host and in the engine.
/// Fluent: a form is described, then {@link #compare} runs it.
final class IntegerForms {
  /// Sets up a state before a run.
  interface Preparation {
    void prepare(MachineState state, RandomGenerator random);
  }

  private static final int RUNS = 300;

  private final RandomGenerator random;
  private final InstructionForms forms;
  private final String prefix;
  private final String opcode;
  private final int size;
  private int extension = -1;
  private int rmSize;
  private boolean registers = true;
  private boolean memory = true;
  private int immediateBytes;
  private int alignment = 1;
  private int runs = RUNS;
  private int flagMask = Differential.ALL_FLAGS;
  private Preparation preparation = (state, r) -> {};

  /// Skips the calling test where there is no Intel processor to run code on: what the architecture
  /// leaves undefined is compared as well, and others do it otherwise.
  static void requireIntel() {
    NativeProcessor.require();
    String vendor = "";
    try {
      vendor = Files.readString(Path.of("/proc/cpuinfo"));
    } catch (IOException e) {
      // Not known: none.
    }
    Assumptions.assumeTrue(vendor.contains("GenuineIntel"), "the host's processor is not Intel's");
  }

  /// An opcode (hexadecimal) with ModR/M.
  ///
  /// @param size of the operands in bytes: 1, 2, 4 or 8; chooses prefix 66 and REX.W
  IntegerForms(RandomGenerator random, String prefix, String opcode, int size) {
    this.random = random;
    this.forms = new InstructionForms(random);
    this.prefix = prefix;
    this.opcode = opcode;
    this.size = size;
    this.rmSize = size;
  }

  /// ModR/M.reg is an opcode extension.
  IntegerForms extension(int value) {
    extension = value;
    return this;
  }

  /// The size of the r/m operand, if it is another one: matters for byte registers.
  IntegerForms rmSize(int bytes) {
    rmSize = bytes;
    return this;
  }

  IntegerForms memoryOnly() {
    registers = false;
    return this;
  }

  IntegerForms registersOnly() {
    memory = false;
    return this;
  }

  IntegerForms immediate(int bytes) {
    immediateBytes = bytes;
    return this;
  }

  /// The immediate that goes with the operand's size: 1, 2 or 4 bytes.
  IntegerForms immediate() {
    return immediate(Math.min(size, 4));
  }

  IntegerForms aligned(int bytes) {
    alignment = bytes;
    return this;
  }

  IntegerForms runs(int n) {
    runs = n;
    return this;
  }

  /// Flags that are compared, when some are not stable.
  IntegerForms flags(int mask) {
    flagMask = mask;
    return this;
  }

  IntegerForms with(Preparation p) {
    preparation = p;
    return this;
  }

  /// Compares host and engine.
  void compare() {
    for (int n = 0; n < runs; n++) {
      var state = MachineState.random(random);
      preparation.prepare(state, random);
      Differential.compare(code(state), state, flagMask);
    }
  }

  /// Machine code of the form for a state, whose registers it changes to make addresses.
  byte[] code(MachineState state) {
    var tail = new byte[immediateBytes];
    long value = MachineState.interesting(random);
    for (int i = 0; i < tail.length; i++) {
      tail[i] = (byte) (value >>> 8 * i);
    }
    boolean isMemory = memory && (!registers || random.nextBoolean());
    String prefixes = prefix + (size == 2 ? "66" : "");
    boolean wide = size == 8;
    int reg = extension >= 0 ? extension : register(size);
    if (isMemory) {
      // Byte registers 4 to 7 of a memory form mean AH to BH or need a REX prefix: take both.
      if (extension < 0 && size == 1) {
        reg = random.nextBoolean() ? random.nextInt(8) : 8 + random.nextInt(8);
      }
      if (random.nextInt(8) == 0) {
        prefixes += "67";
      }
      return forms.memory(state, prefixes, opcode, wide, reg, alignment, tail);
    }
    int rm = register(rmSize);
    boolean rex = (size == 1 || rmSize == 1) && random.nextBoolean();
    if (rex && size == 1 && extension < 0 && reg == 4) {
      reg = 6;
    }
    if (rex && rmSize == 1 && rm == 4) {
      rm = 6;
    }
    if ((size == 1 && extension < 0 && reg == 4 && rm >= 8)
        || (rmSize == 1 && rm == 4 && (reg >= 8 || wide))) {
      // 4 with a REX prefix is SPL: keep RSP.
      return forms.registers(prefixes, opcode, wide, reg == 4 ? 5 : reg, rm == 4 ? 5 : rm, tail);
    }
    return forms.registers(prefixes, opcode, wide, reg, rm, rex, tail);
  }

  private int register(int bytes) {
    return bytes == 1 ? random.nextInt(16) : forms.register();
  }
}
