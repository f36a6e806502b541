package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

/// Random programs with loops and jumps: the host's processor against the interpreter against the
/// translator; and with faults in the middle, the interpreter against the translator.
class TranslatorDifferentialTest {
  private static final int[] REGISTERS = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12};

  /// Holds an address in the test's memory and is not written.
  private static final int BASE = 14;

  /// Counts loops.
  private static final int COUNTER = 15;

  /// Holds an address where nothing is mapped, {@link #BEFORE} bytes before the code.
  private static final int NOWHERE = 13;

  private static final int BEFORE = 0x100;

  private final RandomGenerator random = new Random(Long.getLong("partita.seed", 4));
  private ByteArrayOutputStream out = new ByteArrayOutputStream();
  private boolean faults;

  private int register() {
    return REGISTERS[random.nextInt(REGISTERS.length)];
  }

  private int size() {
    return 1 << random.nextInt(4);
  }

  private void bytes(int... values) {
    for (int value : values) {
      out.write(value);
    }
  }

  private void immediate(int size) {
    long value = MachineState.interesting(random);
    for (int i = 0; i < Math.min(size, 4); i++) {
      out.write((int) (value >>> 8 * i));
    }
  }

  /// An instruction with registers as both operands.
  private void registers(int size, int reg, int rm, int... opcode) {
    if (size == 2) {
      out.write(0x66);
    }
    out.write(0x40 | (size == 8 ? 8 : 0) | (reg >= 8 ? 4 : 0) | (rm >= 8 ? 1 : 0));
    bytes(opcode);
    out.write(0xC0 | (reg & 7) << 3 | rm & 7);
  }

  /// An instruction with a memory operand.
  private void memory(int size, int reg, int... opcode) {
    if (size == 2) {
      out.write(0x66);
    }
    boolean bad = faults && random.nextInt(20) == 0;
    int base = bad ? NOWHERE : BASE;
    out.write(0x41 | (size == 8 ? 8 : 0) | (reg >= 8 ? 4 : 0));
    bytes(opcode);
    out.write(0x40 | (reg & 7) << 3 | base & 7);
    out.write(random.nextInt(15) * 8);
  }

  /// A load that leaves what is mapped once the loop's counter has become small.
  private void late() {
    int reg = register();
    out.write(0x4B | (reg >= 8 ? 4 : 0));
    out.write(0x8B);
    // [nowhere + 8 * counter + displacement]
    out.write(0x84 | (reg & 7) << 3);
    out.write(3 << 6 | (COUNTER & 7) << 3 | NOWHERE & 7);
    int displacement = BEFORE - 8 * (2 + random.nextInt(3));
    for (int i = 0; i < 4; i++) {
      out.write(displacement >> 8 * i);
    }
  }

  private void either(int size, int reg, int... opcode) {
    if (random.nextInt(3) == 0) {
      memory(size, reg, opcode);
    } else {
      registers(size, reg, register(), opcode);
    }
  }

  /// One instruction, or a few that belong together.
  private void instruction() {
    int size = size();
    int wide = Math.max(size, 2);
    int odd = size == 1 ? 0 : 1;
    switch (random.nextInt(27)) {
      case 26 -> bits(size == 8 ? 8 : 4);
      case 22, 23 -> vector();
      case 24 -> vex();
      case 25 -> floating();
      case 0, 1, 2, 3 -> either(size, register(), random.nextInt(8) << 3 | odd);
      case 4, 5 -> either(size, register(), random.nextInt(8) << 3 | 2 | odd);
      case 6, 7 -> {
        either(size, random.nextInt(8), 0x80 | odd);
        immediate(size);
      }
      case 8 -> either(size, random.nextInt(2), 0xFE | odd);
      case 9 -> either(size, 2 + random.nextInt(2), 0xF6 | odd);
      case 10, 11 -> {
        int[] operations = {0, 1, 4, 5, 7};
        either(size, operations[random.nextInt(operations.length)], 0xC0 | odd);
        out.write(random.nextInt(64));
      }
      case 12 -> {
        int[] operations = {4, 5, 7};
        either(size, operations[random.nextInt(operations.length)], 0xD2 | odd);
      }
      case 13 -> either(wide, register(), 0x0F, 0xAF);
      case 14 -> either(wide, 4 + random.nextInt(2), 0xF7);
      case 15 -> either(wide, register(), 0x0F, 0xB6 | random.nextInt(2) | random.nextInt(2) << 3);
      case 16 -> either(1, 0, 0x0F, 0x90 | random.nextInt(16));
      case 17 -> either(wide, register(), 0x0F, 0x40 | random.nextInt(16));
      case 18 -> {
        either(wide, 4 + random.nextInt(4), 0x0F, 0xBA);
        out.write(random.nextInt(64));
      }
      case 19 -> either(size, register(), 0x88 | random.nextInt(2) << 1 | odd);
      case 20 -> {
        // push, pop
        int from = register();
        int to = register();
        bytes(0x40 | from >> 3, 0x50 | from & 7, 0x40 | to >> 3, 0x58 | to & 7);
      }
      default -> {
        switch (random.nextInt(4)) {
          case 0 -> registers(8, register(), register(), 0x87);
          case 1 -> bytes(size == 8 ? 0x48 : 0x40, random.nextBoolean() ? 0x99 : 0x98);
          case 2 -> {
            int r = register();
            bytes(0x40 | (size == 8 ? 8 : 0) | r >> 3, 0x0F, 0xC8 | r & 7);
          }
          default -> {
            // call to what follows, pop
            int to = register();
            bytes(0xE8, 0, 0, 0, 0, 0x40 | to >> 3, 0x58 | to & 7);
          }
        }
      }
    }
  }

  /// Bit scans and counts, double shifts, BMI and ADX.
  private void bits(int size) {
    switch (random.nextInt(7)) {
      case 0 -> registers(size, register(), register(), 0x0F, 0xBC + random.nextInt(2));
      case 1 -> {
        out.write(0xF3);
        int[] operations = {0xB8, 0xBC, 0xBD};
        registers(size, register(), register(), 0x0F, operations[random.nextInt(3)]);
      }
      case 2 -> {
        either(size, register(), 0x0F, random.nextBoolean() ? 0xA4 : 0xAC);
        out.write(random.nextInt(64));
      }
      case 3, 4 -> {
        out.write(random.nextBoolean() ? 0x66 : 0xF3);
        registers(size, register(), register(), 0x0F, 0x38, 0xF6);
      }
      case 5 -> memory(size, register(), 0x0F, 0x38, 0xF0 + random.nextInt(2));
      default -> {
        // VEX, map 0F38: ANDN, BLSR and its kin, MULX, SARX, SHLX, SHRX
        int[][] forms = {{0xF2, 0}, {0xF3, 0}, {0xF6, 3}, {0xF7, 1}, {0xF7, 2}, {0xF7, 3}};
        var form = forms[random.nextInt(forms.length)];
        int second = register();
        int reg = form[0] == 0xF3 ? 1 + random.nextInt(3) : register() & 7;
        bytes(0xC4, 0xE2, (size == 8 ? 0x80 : 0) | (~second & 15) << 3 | form[1], form[0]);
        int rm = register() & 7;
        out.write(0xC0 | (reg == 4 ? 5 : reg) << 3 | (rm == 4 ? 5 : rm));
      }
    }
  }

  /// An SSE instruction.
  private void vector() {
    int reg = random.nextInt(16);
    switch (random.nextInt(8)) {
      case 0, 1 -> {
        int[] operations = {
          0xFE, 0xD4, 0xEF, 0xDB, 0xDF, 0xEB, 0x74, 0x76, 0xF8, 0xDC, 0xF6, 0x60, 0x61, 0x62, 0x6C,
          0x6A, 0xD2, 0xF3, 0xE1, 0xDA, 0x66, 0x67, 0xF5, 0x14
        };
        out.write(0x66);
        registers(4, reg, register(), 0x0F, operations[random.nextInt(operations.length)]);
      }
      case 2 -> {
        out.write(0xF3);
        memory(4, reg, 0x0F, random.nextBoolean() ? 0x6F : 0x7F);
      }
      case 3 -> {
        out.write(0x66);
        registers(
            8 >> random.nextInt(2), reg, register(), 0x0F, random.nextBoolean() ? 0x6E : 0x7E);
      }
      case 4 -> {
        int[] extensions = {2, 4, 6};
        out.write(0x66);
        registers(4, extensions[random.nextInt(3)], register(), 0x0F, 0x71 + random.nextInt(2));
        out.write(random.nextInt(40));
      }
      case 5 -> {
        out.write(new int[] {0x66, 0xF3, 0xF2}[random.nextInt(3)]);
        registers(4, reg, register(), 0x0F, 0x70);
        out.write(random.nextInt(256));
      }
      case 6 -> {
        out.write(0x66);
        registers(4, random.nextBoolean() ? 3 : 7, register(), 0x0F, 0x73);
        out.write(random.nextInt(18));
      }
      default -> {
        out.write(0x66);
        registers(4, register(), reg, 0x0F, 0xD7);
      }
    }
  }

  /// A VEX-coded one, of two bytes before the opcode.
  private void vex() {
    if (!NativeProcessor.has("avx2")) {
      vector();
      return;
    }
    int reg = random.nextInt(16);
    int wide = random.nextInt(2) << 2;
    int other = random.nextInt(16);
    switch (random.nextInt(4)) {
      case 0 -> {
        // vmovdqu to and from memory
        bytes(
            0xC4, (reg < 8 ? 0x80 : 0) | 0x41, 0x78 | wide | 2, random.nextBoolean() ? 0x6F : 0x7F);
        bytes(0x40 | (reg & 7) << 3 | BASE & 7, random.nextInt(15) * 8);
      }
      case 1 -> bytes(0xC5, 0xF8 | (random.nextInt(4) == 0 ? 4 : 0), 0x77);
      default -> {
        int[] operations = {0xFE, 0xD4, 0xEF, 0xDB, 0x74, 0xF8, 0xDC, 0x61, 0x6C, 0x58, 0x59};
        int op = operations[random.nextInt(operations.length)];
        bytes(0xC5, (reg < 8 ? 0x80 : 0) | (~other & 15) << 3 | wide | 1, op);
        out.write(0xC0 | (reg & 7) << 3 | random.nextInt(8));
      }
    }
  }

  /// Scalar and packed floating-point arithmetic, conversions and comparisons.
  private void floating() {
    int reg = random.nextInt(16);
    int[] prefixes = {0xF2, 0xF3, 0x66};
    switch (random.nextInt(6)) {
      case 0 -> {
        out.write(prefixes[random.nextInt(2)]);
        registers(8 >> random.nextInt(2), reg, register(), 0x0F, 0x2A);
      }
      case 1 -> {
        out.write(prefixes[random.nextInt(2)]);
        registers(8 >> random.nextInt(2), register(), reg, 0x0F, 0x2C + random.nextInt(2));
      }
      case 2 -> {
        if (random.nextBoolean()) {
          out.write(0x66);
        }
        registers(4, reg, register(), 0x0F, 0x2E + random.nextInt(2));
      }
      default -> {
        int[] operations = {0x51, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F, 0x5A};
        int prefix = random.nextInt(4);
        if (prefix < 3) {
          out.write(prefixes[prefix]);
        }
        int op = operations[random.nextInt(operations.length)];
        registers(4, reg, random.nextInt(16), 0x0F, op);
      }
    }
  }

  /// What a loop ends with, before JNZ.
  private static final String[] COUNTS = {
    "49ffcf", // dec r15
    "4983ef01", // sub r15, 1
    "4183ef01", // sub r15d, 1
    "4983c7ff", // add r15, -1
    "4180c7ff", // add r15b, -1
    "49ffcf4983ff00", // dec r15; cmp r15, 0
    "49ffcf664183ff00", // dec r15; cmp r15w, 0
    "49ffcf4d85ff", // dec r15; test r15, r15
    "49ffcf4584ff" // dec r15; test r15b, r15b
  };

  /// A loop whose body has forward jumps.
  private byte[] program() {
    var whole = new ByteArrayOutputStream();
    int parts = 2 + random.nextInt(5);
    int compared = register();
    for (int i = 0; i < parts; i++) {
      out = new ByteArrayOutputStream();
      if (faults && random.nextInt(3) == 0) {
        // Where ways meet, before anything sets flags.
        if (random.nextBoolean()) {
          registers(8, register(), compared, 0x89);
        }
        late();
      }
      int n = 1 + random.nextInt(5);
      for (int k = 0; k < n; k++) {
        instruction();
      }
      var part = out.toByteArray();
      if (faults && random.nextBoolean()) {
        // cmp: its flags reach what comes after the part when that is jumped over.
        out = whole;
        compared = register();
        registers(8, register(), compared, 0x39);
      }
      if (random.nextBoolean() && part.length < 120) {
        whole.write(0x70 | random.nextInt(16));
        whole.write(part.length);
      }
      whole.writeBytes(part);
    }
    whole.writeBytes(HexFormat.of().parseHex(COUNTS[random.nextInt(COUNTS.length)]));
    // jnz to the start
    whole.write(0x0F);
    whole.write(0x85);
    int back = -(whole.size() + 4);
    for (int i = 0; i < 4; i++) {
      whole.write(back >> 8 * i);
    }
    if (random.nextBoolean()) {
      // Something behind the loop that shows the flags: pushf, pop rax.
      whole.writeBytes(new byte[] {(byte) 0x9C, 0x58});
    }
    return whole.toByteArray();
  }

  private MachineState state() {
    var state = MachineState.random(random);
    state.general[BASE] = MachineState.MEMORY + 0x400 + random.nextInt(16);
    state.general[NOWHERE] = MachineState.CODE - BEFORE;
    state.general[COUNTER] = 1 + random.nextInt(4);
    return state;
  }

  @Test
  void loopsAgreeWithTheHost() {
    IntegerForms.requireIntel();
    for (int n = 0; n < Integer.getInteger("partita.programs", 1500); n++) {
      Differential.compare(program(), state(), Differential.ALL_FLAGS);
    }
  }

  @Test
  void faultsInTheMiddleLeaveTheSameState() {
    faults = true;
    var interpreter = new EngineProcessor();
    var translator = new EngineProcessor();
    int met = 0;
    for (int n = 0; n < Integer.getInteger("partita.programs", 1000); n++) {
      var code = program();
      var state = state();
      int expected = interpreter.interpretToFault(code, state);
      int actual = translator.translateToFault(code, state);
      var what = Differential.bytes(code);
      assertThat(actual).as(what).isEqualTo(expected);
      assertThat(Differential.difference(interpreter.state(), translator.state(), -1))
          .as(what)
          .isEmpty();
      if (expected >= 0) {
        met++;
        // A block of one instruction: RIP at it is its base.
        assertThat(translator.cpu().rip).as(what).isEqualTo(interpreter.cpu().r[Cpu.RIP_BASE]);
        assertThat(translator.cpu().fault.errorCode).isEqualTo(interpreter.cpu().fault.errorCode);
      }
    }
    assertThat(met).isGreaterThan(100);
  }
}
