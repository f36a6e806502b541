package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Instructions of the general registers in 64-bit mode, against the host's processor. All flags
/// are
/// compared, undefined ones too, unless it is said otherwise.
class IntegerDifferentialTest {
  private static final int[] SIZES = {1, 2, 4, 8};
  private static final int[] WIDE_SIZES = {2, 4, 8};

  private final RandomGenerator random = new Random(40);

  @BeforeEach
  void needsTheHost() {
    IntegerForms.requireIntel();
  }

  private IntegerForms form(String opcode, int size) {
    return new IntegerForms(random, "", opcode, size);
  }

  private IntegerForms form(String prefix, String opcode, int size) {
    return new IntegerForms(random, prefix, opcode, size);
  }

  /// The opcode for bytes, or the one after it for the wider sizes.
  private static String sized(int opcode, int size) {
    return "%02X".formatted(size == 1 ? opcode : opcode + 1);
  }

  private static String sized0F(int opcode, int size) {
    return "0F" + sized(opcode, size);
  }

  // ---- Arithmetic

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
  void twoOperandArithmetic(int operation) {
    for (int size : SIZES) {
      form(sized(8 * operation, size), size).compare();
      form(sized(8 * operation + 2, size), size).compare();
      form(sized(0x80, size), size).extension(operation).immediate().compare();
      if (size > 1) {
        form("83", size).extension(operation).immediate(1).compare();
      }
      if (operation != 7) {
        form("F0", sized(8 * operation, size), size).memoryOnly().compare();
        form("F0", sized(0x80, size), size).extension(operation).memoryOnly().immediate().compare();
      }
      accumulatorImmediate(8 * operation + 4, size);
    }
  }

  private void accumulatorImmediate(int opcode, int size) {
    for (int n = 0; n < 100; n++) {
      var state = MachineState.random(random);
      String prefix = size == 2 ? "66" : size == 8 ? "48" : "";
      var immediate = "%08X".formatted((int) MachineState.interesting(random));
      String code = prefix + sized(opcode, size) + immediate.substring(0, 2 * Math.min(size, 4));
      Differential.compare(InstructionForms.parse(code), state, Differential.ALL_FLAGS);
    }
  }

  @Test
  void test() {
    for (int size : SIZES) {
      form(sized(0x84, size), size).compare();
      form(sized(0xF6, size), size).extension(0).immediate().compare();
      form(sized(0xF6, size), size).extension(1).immediate().compare();
      accumulatorImmediate(0xA8, size);
    }
  }

  @Test
  void incrementAndDecrement() {
    for (int size : SIZES) {
      for (int extension = 0; extension < 2; extension++) {
        form(sized(0xFE, size), size).extension(extension).compare();
        form("F0", sized(0xFE, size), size).extension(extension).memoryOnly().compare();
      }
    }
  }

  @Test
  void notAndNegate() {
    for (int size : SIZES) {
      for (int extension = 2; extension < 4; extension++) {
        form(sized(0xF6, size), size).extension(extension).compare();
        form("F0", sized(0xF6, size), size).extension(extension).memoryOnly().compare();
      }
    }
  }

  @Test
  void multiply() {
    for (int size : SIZES) {
      form(sized(0xF6, size), size).extension(4).compare();
      form(sized(0xF6, size), size).extension(5).compare();
    }
    for (int size : WIDE_SIZES) {
      form("0FAF", size).compare();
      form("69", size).immediate().compare();
      form("6B", size).immediate(1).compare();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 8})
  void divide(int size) {
    int faults = 0;
    var engine = new EngineProcessor();
    for (int n = 0; n < 4000; n++) {
      boolean signed = random.nextBoolean();
      var state = MachineState.random(random);
      // A small upper half often, so that quotients fit.
      if (random.nextInt(4) != 0) {
        long half = random.nextInt(3) == 0 ? 0 : random.nextLong() >>> random.nextInt(64);
        half = random.nextBoolean() ? half : ~half;
        if (size == 1) {
          state.general[Cpu.RAX] = half;
        } else {
          state.general[Cpu.RDX] = half;
        }
      }
      var code = form(sized(0xF6, size), size).extension(signed ? 7 : 6).code(state);
      if (divides(code, state, size, signed)) {
        Differential.compare(code, state, Differential.ALL_FLAGS);
      } else {
        faults++;
        assertThat(engine.executeToFault(code, state)).isEqualTo(GuestFault.DIVIDE_ERROR);
        assertThat(engine.state().general).isEqualTo(state.general);
      }
    }
    assertThat(faults).isBetween(100, 3900);
  }

  /// Whether a division has a quotient that fits, by arithmetic of arbitrary precision. The divisor
  /// is found by running a MOV of the same operand on the host.
  private boolean divides(byte[] code, MachineState state, int size, boolean signed) {
    long divisor = operand(code, state, size);
    int bits = 8 * size;
    var low = unsigned(state.general[Cpu.RAX], bits);
    var high =
        size == 1
            ? unsigned(state.general[Cpu.RAX] >>> 8, bits)
            : unsigned(state.general[Cpu.RDX], bits);
    var dividend = high.shiftLeft(bits).or(low);
    var by = unsigned(divisor, bits);
    if (signed) {
      dividend = signed(dividend, 2 * bits);
      by = signed(by, bits);
    }
    if (by.signum() == 0) {
      return false;
    }
    var quotient = dividend.divide(by);
    return signed ? quotient.bitLength() < bits : quotient.bitLength() <= bits;
  }

  /// The r/m operand: TEST's opcode is the division's, so it is loaded by MOV reg, r/m (8A, 8B)
  /// into
  /// RDX (DL).
  private static long operand(byte[] code, MachineState state, int size) {
    var load = code.clone();
    for (int i = 0; i < load.length; i++) {
      if ((load[i] & 0xFE) == 0xF6) {
        load[i] = (byte) (0x8A | load[i] & 1);
        load[i + 1] = (byte) (load[i + 1] & ~0x38 | Cpu.RDX << 3);
        break;
      }
    }
    var after = NativeProcessor.run(load, state);
    return after.general[Cpu.RDX] & -1L >>> 64 - 8 * size;
  }

  private static BigInteger unsigned(long value, int bits) {
    return new BigInteger(Long.toUnsignedString(bits == 64 ? value : value & (1L << bits) - 1));
  }

  private static BigInteger signed(BigInteger value, int bits) {
    return value.testBit(bits - 1) ? value.subtract(BigInteger.ONE.shiftLeft(bits)) : value;
  }

  // ---- Shifts

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
  void shiftsAndRotates(int operation) {
    for (int size : SIZES) {
      form(sized(0xC0, size), size).extension(operation).immediate(1).runs(1500).compare();
      form(sized(0xD0, size), size).extension(operation).compare();
      form(sized(0xD2, size), size)
          .extension(operation)
          .runs(1500)
          .with((s, r) -> s.general[Cpu.RCX] = r.nextInt(3) == 0 ? r.nextLong() : r.nextInt(70))
          .compare();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"0FA4", "0FAC"})
  void doubleShifts(String opcode) {
    for (int size : WIDE_SIZES) {
      form(opcode, size).immediate(1).runs(1500).compare();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"0FA5", "0FAD"})
  void doubleShiftsByCl(String opcode) {
    for (int size : WIDE_SIZES) {
      form(opcode, size)
          .runs(1500)
          .with((s, r) -> s.general[Cpu.RCX] = r.nextInt(3) == 0 ? r.nextLong() : r.nextInt(70))
          .compare();
    }
  }

  // ---- Data movement

  @Test
  void moves() {
    for (int size : SIZES) {
      form(sized(0x88, size), size).compare();
      form(sized(0x8A, size), size).compare();
      form(sized(0xC6, size), size).extension(0).immediate().compare();
    }
  }

  @Test
  void movesOfImmediates() {
    for (int register = 0; register < 16; register++) {
      if (register == Cpu.RSP) {
        continue;
      }
      String low = "%X".formatted(register & 7);
      String wide = "%X".formatted(8 | register & 7);
      String rex = register < 8 ? "" : "41";
      for (int n = 0; n < 20; n++) {
        var state = MachineState.random(random);
        String value = "%016X".formatted(MachineState.interesting(random));
        run(rex + "B" + low + value.substring(0, 2), state);
        run("66" + rex + "B" + wide + value.substring(0, 4), state);
        run(rex + "B" + wide + value.substring(0, 8), state);
        run((register < 8 ? "48" : "49") + "B" + wide + value, state);
      }
    }
  }

  @Test
  void movesOfDirectOffsets() {
    for (int n = 0; n < 50; n++) {
      var state = MachineState.random(random);
      String at = reversed(MachineState.MEMORY + random.nextInt(0x800), 8);
      String at32 = at.substring(0, 8);
      for (String opcode : new String[] {"A0", "A1", "A2", "A3"}) {
        run(opcode + at, state);
        run("66" + opcode + at, state);
        run("48" + opcode + at, state);
        run("67" + opcode + at32, state);
        run("6748" + opcode + at32, state);
      }
    }
  }

  private static String reversed(long value, int bytes) {
    return "%016X".formatted(Long.reverseBytes(value)).substring(0, 2 * bytes);
  }

  private static void run(String code, MachineState state) {
    Differential.compare(InstructionForms.parse(code), state, Differential.ALL_FLAGS);
  }

  @Test
  void movesWithExtension() {
    for (int size : WIDE_SIZES) {
      form("0FB6", size).rmSize(1).compare();
      form("0FB7", size).rmSize(2).compare();
      form("0FBE", size).rmSize(1).compare();
      form("0FBF", size).rmSize(2).compare();
      form("63", size).compare();
    }
  }

  @Test
  void bigEndianMoves() {
    for (int size : WIDE_SIZES) {
      form("0F38F0", size).memoryOnly().compare();
      form("0F38F1", size).memoryOnly().compare();
    }
  }

  @Test
  void nonTemporalStore() {
    form("0FC3", 4).memoryOnly().compare();
    form("0FC3", 8).memoryOnly().compare();
  }

  @Test
  void exchanges() {
    for (int size : SIZES) {
      form(sized(0x86, size), size).compare();
      form(sized0F(0xC0, size), size).compare();
      form("F0", sized0F(0xC0, size), size).memoryOnly().compare();
    }
    for (int register = 0; register < 16; register++) {
      if (register != Cpu.RSP) {
        String opcode = "%02X".formatted(0x90 | register & 7);
        String b = register < 8 ? "0" : "1";
        for (int n = 0; n < 20; n++) {
          run("4" + b + opcode, MachineState.random(random));
          run("664" + b + opcode, MachineState.random(random));
          run((register < 8 ? "48" : "49") + opcode, MachineState.random(random));
        }
      }
    }
  }

  @Test
  void compareAndExchange() {
    for (int size : SIZES) {
      for (String prefix : new String[] {"", "F0"}) {
        for (boolean equal : new boolean[] {false, true}) {
          for (int n = 0; n < 300; n++) {
            var state = MachineState.random(random);
            var form = form(prefix, sized0F(0xB0, size), size);
            var code = (prefix.isEmpty() ? form : form.memoryOnly()).code(state);
            if (equal) {
              long value = MachineState.interesting(random);
              for (int i = 0; i < MachineState.MEMORY_SIZE; i++) {
                state.memory[i] = (byte) value;
              }
              state.general[Cpu.RAX] = (value & 0xFF) * 0x0101_0101_0101_0101L;
            }
            Differential.compare(code, state, Differential.ALL_FLAGS);
          }
        }
      }
    }
  }

  @Test
  void compareAndExchangeDouble() {
    for (int size : new int[] {4, 8}) {
      for (String prefix : new String[] {"", "F0"}) {
        for (int n = 0; n < 500; n++) {
          var state = MachineState.random(random);
          boolean equal = random.nextBoolean();
          long low = MachineState.interesting(random);
          long high = equal ? MachineState.interesting(random) : random.nextLong();
          for (int i = 0; i < MachineState.MEMORY_SIZE; i += 2 * size) {
            if (size == 8) {
              state.setMemory(i, low);
              state.setMemory(i + 8, high);
            } else {
              state.setMemory(i, high << 32 | low & 0xFFFF_FFFFL);
            }
          }
          var code = form(prefix, "0FC7", size).extension(1).memoryOnly().aligned(16).code(state);
          if (equal) {
            state.general[Cpu.RAX] = low;
            // RDX may have become part of the address; then it stays unequal mostly.
            if (MachineState.MEMORY >> 24 != state.general[Cpu.RDX] >> 24) {
              boolean free = !Differential.bytes(code).contains("4a") && notInAddress(code);
              if (free) {
                state.general[Cpu.RDX] = high;
              }
            }
          }
          Differential.compare(code, state, Differential.ALL_FLAGS);
        }
      }
    }
  }

  /// Whether the memory operand is RIP-relative or absolute: no register is in it.
  private static boolean notInAddress(byte[] code) {
    for (int i = 0; i + 1 < code.length; i++) {
      if (code[i] == (byte) 0xC7) {
        int modRm = code[i + 1] & 0xC7;
        return modRm == 5 || (modRm == 4 && code[i + 2] == 0x25);
      }
    }
    return false;
  }

  @Test
  void effectiveAddresses() {
    for (int size : WIDE_SIZES) {
      form("8D", size).memoryOnly().runs(1000).compare();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
  void conditions(int condition) {
    form("0F9%X".formatted(condition), 1).extension(0).compare();
    for (int size : WIDE_SIZES) {
      form("0F4%X".formatted(condition), size).compare();
    }
    for (int n = 0; n < 100; n++) {
      // Taken, it skips an INC of RAX.
      run("7%X0348FFC0".formatted(condition), MachineState.random(random));
      run("0F8%X0300000048FFC0".formatted(condition), MachineState.random(random));
      // Flags from an operation rather than from POPF; the prefix 66 is ignored.
      run("4839D8667%X0348FFC0".formatted(condition), MachineState.random(random));
      run("28CA7%X0348FFC0".formatted(condition), MachineState.random(random));
    }
  }

  @Test
  void byteSwap() {
    for (int register = 0; register < 16; register++) {
      if (register != Cpu.RSP) {
        for (int n = 0; n < 30; n++) {
          String rest = "0F%02X".formatted(0xC8 | register & 7);
          run((register < 8 ? "40" : "41") + rest, MachineState.random(random));
          run((register < 8 ? "48" : "49") + rest, MachineState.random(random));
          run("66" + (register < 8 ? "40" : "41") + rest, MachineState.random(random));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "98",
        "6698",
        "4898",
        "99",
        "6699",
        "4899",
        "9E",
        "9F",
        "F5",
        "F8",
        "F9",
        "FC",
        "FD",
        "90",
        "6690",
        "F390",
        "4190",
        "4990",
        "F30F1EFA",
        "F30F1EFB",
        "0F1FC0",
        "660F1F440000",
        "0F0DC8",
        "0F18C0",
        "0FAEE8",
        "0FAEF0",
        "0FAEF8",
        "F30F1EC8"
      })
  void withoutOperands(String code) {
    for (int n = 0; n < 200; n++) {
      run(code, MachineState.random(random));
    }
  }

  @Test
  void cacheLineInstructions() {
    form("0FAE", 4).extension(7).memoryOnly().compare();
    form("66", "0FAE", 4).extension(7).memoryOnly().compare();
    form("66", "0FAE", 4).extension(6).memoryOnly().compare();
    form("0F0D", 4).extension(1).memoryOnly().compare();
    form("0F18", 4).extension(1).memoryOnly().compare();
    form("0F1F", 4).extension(0).memoryOnly().compare();
  }

  @Test
  void tableLookup() {
    for (int n = 0; n < 200; n++) {
      var state = MachineState.random(random);
      state.general[Cpu.RBX] = MachineState.MEMORY + random.nextInt(0xF00);
      run("D7", state);
      run("67D7", state);
    }
  }

  // ---- Bits

  @ParameterizedTest
  @ValueSource(strings = {"0FA3", "0FAB", "0FB3", "0FBB"})
  void bitsByRegister(String opcode) {
    for (int size : WIDE_SIZES) {
      for (int n = 0; n < 1000; n++) {
        var state = MachineState.random(random);
        for (int i = 0; i < 16; i++) {
          if (i != Cpu.RSP) {
            // Up to 0x200 bytes to either side of the address.
            long bit = random.nextInt(-0x1000, 0x1000);
            state.general[i] =
                size == 8 ? bit : bit & -1L >>> 64 - 8 * size | random.nextLong() << 32;
          }
        }
        boolean lock = !opcode.equals("0FA3") && random.nextInt(4) == 0;
        var form = form(lock ? "F0" : "", opcode, size);
        Differential.compare(
            (lock ? form.memoryOnly() : form).code(state), state, Differential.ALL_FLAGS);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 5, 6, 7})
  void bitsByImmediate(int extension) {
    for (int size : WIDE_SIZES) {
      form("0FBA", size).extension(extension).immediate(1).compare();
      if (extension > 4) {
        form("F0", "0FBA", size).extension(extension).immediate(1).memoryOnly().compare();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"'',0FBC", "'',0FBD", "F3,0FBC", "F3,0FBD", "F3,0FB8"})
  void scansAndCounts(String prefix, String opcode) {
    for (int size : WIDE_SIZES) {
      form(prefix, opcode, size).runs(1000).compare();
    }
  }

  @Test
  void checksum() {
    form("F2", "0F38F0", 1).registersOnly().extension(2).compare();
    form("F2", "0F38F0", 4).rmSize(1).memoryOnly().compare();
    for (int size : WIDE_SIZES) {
      form("F2", "0F38F1", size).compare();
    }
    form("F2", "0F38F0", 8).rmSize(1).compare();
  }

  @Test
  void addWithSeparateCarries() {
    for (int size : new int[] {4, 8}) {
      form("66", "0F38F6", size).compare();
      form("F3", "0F38F6", size).compare();
    }
  }

  /// Map, prefix (0 none, 1 66, 2 F3, 3 F2), opcode, extension or -1, immediate bytes.
  @ParameterizedTest
  @CsvSource({
    "2,0,F2,-1,0", // ANDN
    "2,0,F3,1,0", // BLSR
    "2,0,F3,2,0", // BLSMSK
    "2,0,F3,3,0", // BLSI
    "2,0,F5,-1,0", // BZHI
    "2,3,F5,-1,0", // PDEP
    "2,2,F5,-1,0", // PEXT
    "2,3,F6,-1,0", // MULX
    "2,0,F7,-1,0", // BEXTR
    "2,1,F7,-1,0", // SHLX
    "2,2,F7,-1,0", // SARX
    "2,3,F7,-1,0", // SHRX
    "3,3,F0,-1,1" // RORX
  })
  void bitManipulation(int map, int prefix, String opcode, int extension, int immediate) {
    for (int n = 0; n < 2000; n++) {
      var state = MachineState.random(random);
      for (int i = 0; i < 16; i++) {
        if (i != Cpu.RSP && random.nextInt(3) == 0) {
          state.general[i] = random.nextInt(0x4000);
        }
      }
      int reg = extension >= 0 ? extension : notRsp();
      int second = map == 3 ? 0 : notRsp();
      boolean wide = random.nextBoolean();
      boolean memory = random.nextBoolean();
      int rm = memory ? 5 : notRsp();
      var code = new byte[5 + (memory ? 4 : 0) + immediate];
      code[0] = (byte) 0xC4;
      code[1] = (byte) ((reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0) | map);
      code[2] = (byte) ((wide ? 0x80 : 0) | (~second & 15) << 3 | prefix);
      code[3] = (byte) Integer.parseInt(opcode, 16);
      code[4] = (byte) ((memory ? 0 : 0xC0) | (reg & 7) << 3 | rm & 7);
      if (memory) {
        int displacement =
            (int) (MachineState.MEMORY + random.nextInt(0x800) - MachineState.CODE - code.length);
        for (int i = 0; i < 4; i++) {
          code[5 + i] = (byte) (displacement >> 8 * i);
        }
      }
      if (immediate != 0) {
        code[code.length - 1] = (byte) random.nextInt();
      }
      Differential.compare(code, state, Differential.ALL_FLAGS);
    }
  }

  private int notRsp() {
    int n = random.nextInt(15);
    return n < Cpu.RSP ? n : n + 1;
  }

  // ---- Stack and branches

  @Test
  void pushAndPop() {
    for (int register = 0; register < 16; register++) {
      String rex = register < 8 ? "40" : "41";
      String push = "%02X".formatted(0x50 | register & 7);
      String pop = "%02X".formatted(0x58 | register & 7);
      for (int n = 0; n < 20; n++) {
        run(rex + push, MachineState.random(random));
        run("66" + rex + push, MachineState.random(random));
        if (register != Cpu.RSP) {
          run(rex + pop, MachineState.random(random));
          run("66" + rex + pop, MachineState.random(random));
        }
      }
    }
    for (int n = 0; n < 100; n++) {
      run("6A80", MachineState.random(random));
      run("666A80", MachineState.random(random));
      run("6878563492", MachineState.random(random));
      run("66687892", MachineState.random(random));
      // POP RSP and then back.
      run("54665C", MachineState.random(random));
      run("545C", MachineState.random(random));
      // PUSH and POP of memory at RSP: the address is that before a push, after a pop.
      run("FF742408", MachineState.random(random));
      run("66FF742408", MachineState.random(random));
      run("8F442408", MachineState.random(random));
      run("668F442408", MachineState.random(random));
      run("9C", MachineState.random(random));
      run("669C", MachineState.random(random));
    }
    form("FF", 4).extension(6).compare();
    form("FF", 2).extension(6).compare();
    form("8F", 4).extension(0).compare();
    form("8F", 2).extension(0).compare();
  }

  @Test
  void popOfFlags() {
    for (int n = 0; n < 300; n++) {
      var state = MachineState.random(random);
      int at = (int) (state.general[Cpu.RSP] - MachineState.MEMORY);
      // TF would trap and AC would make the host check alignment; NT and ID may be set.
      state.setMemory(at, random.nextLong() & ~(Cpu.TF | Cpu.AC) & 0xFFFF_FFFFL);
      // Afterwards the flags are pushed, so that all are seen, and then restored.
      run("9D9C68020200009D", state);
      run("669D9C68020200009D", state);
    }
  }

  @Test
  void frames() {
    for (int n = 0; n < 200; n++) {
      var state = MachineState.random(random);
      state.general[Cpu.RBP] = MachineState.STACK + 8 * random.nextInt(0x60);
      run("C9", state);
      run("66C9", state);
      int level = random.nextInt(6);
      run("C8%02X00%02X".formatted(random.nextInt(256), level), state);
      run("66C8%02X00%02X".formatted(random.nextInt(256), level), state);
      run("C80000%02X".formatted(32 + level), state);
    }
  }

  @Test
  void jumpsAndCalls() {
    for (int n = 0; n < 50; n++) {
      var state = MachineState.random(random);
      // Over an INC of RAX.
      run("EB0348FFC0", state);
      run("E90300000048FFC0", state);
      run("66E90300000048FFC0", state);
      // CALL: the return address is on the stack.
      run("E80300000048FFC0", state);
      run("66E80300000048FFC0", state);
      // CALL over a JMP to a RET that returns to the JMP.
      run("E802000000EB01C3", state);
      run("E802000000EB03C20800", state);
      // LEA RAX, [RIP + 5]; CALL or JMP RAX; INC RCX
      run("488D0505000000FFD048FFC1", state);
      run("488D0505000000FFE048FFC1", state);
      // The same through memory: PUSH RAX; JMP [RSP]
      run("488D050700000050FF242448FFC1", state);
      run("488D050700000050FF142448FFC1", state);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"E0", "E1", "E2", "E3"})
  void countLoops(String opcode) {
    for (int n = 0; n < 200; n++) {
      var state = MachineState.random(random);
      if (random.nextBoolean()) {
        state.general[Cpu.RCX] =
            (random.nextInt(2) == 0 ? 0 : random.nextLong() << 32) | random.nextInt(3);
      }
      run(opcode + "0348FFC0", state);
      run("67" + opcode + "0348FFC0", state);
    }
  }

  // ---- Sequences

  /// Random runs of register instructions: each finds flags and registers as the last one left
  /// them,
  /// not as a test set them.
  @Test
  void sequences() {
    var makers = new ArrayList<IntegerForms>();
    for (int size : SIZES) {
      for (int operation = 0; operation < 8; operation++) {
        makers.add(form(sized(8 * operation, size), size));
        makers.add(form(sized(0x80, size), size).extension(operation).immediate());
        makers.add(form(sized(0xC0, size), size).extension(operation).immediate(1));
        makers.add(form(sized(0xD0, size), size).extension(operation));
        makers.add(form(sized(0xD2, size), size).extension(operation));
      }
      makers.add(form(sized(0xFE, size), size).extension(0));
      makers.add(form(sized(0xFE, size), size).extension(1));
      makers.add(form(sized(0xF6, size), size).extension(3));
      makers.add(form(sized(0xF6, size), size).extension(4));
      makers.add(form(sized(0x84, size), size));
      makers.add(form(sized0F(0xC0, size), size));
      makers.add(form(sized0F(0xB0, size), size));
    }
    for (int condition = 0; condition < 16; condition++) {
      makers.add(form("0F9%X".formatted(condition), 1).extension(0));
      makers.add(form("0F4%X".formatted(condition), 4));
      makers.add(form("0F4%X".formatted(condition), 8));
    }
    for (int size : WIDE_SIZES) {
      for (String opcode : new String[] {"0FA3", "0FBB", "0FBC", "0FBD", "0FA5", "0FAD", "0FAF"}) {
        makers.add(form(opcode, size));
      }
      makers.add(form("F3", "0FBC", size));
      makers.add(form("F3", "0FB8", size));
    }
    for (int size = 4; size <= 8; size += 4) {
      makers.add(form("66", "0F38F6", size));
      makers.add(form("F3", "0F38F6", size));
    }
    makers.forEach(IntegerForms::registersOnly);
    String[] others = {"9E", "9F", "F5", "F8", "F9", "98", "4898", "99", "4899"};
    for (int n = 0; n < 5000; n++) {
      var state = MachineState.random(random);
      var code = new ByteArrayOutputStream();
      int length = random.nextInt(2, 30);
      for (int k = 0; k < length; k++) {
        if (random.nextInt(12) == 0) {
          code.writeBytes(InstructionForms.parse(others[random.nextInt(others.length)]));
        } else if (random.nextInt(8) == 0) {
          // Jcc over a NOT of RBX, which keeps the flags.
          code.write(0x70 | random.nextInt(16));
          code.writeBytes(InstructionForms.parse("0348F7D3"));
        } else {
          code.writeBytes(makers.get(random.nextInt(makers.size())).code(state));
        }
      }
      Differential.compare(code.toByteArray(), state, Differential.ALL_FLAGS);
    }
  }

  // ---- Strings

  @ParameterizedTest
  @ValueSource(strings = {"A4", "A5", "A6", "A7", "AA", "AB", "AC", "AD", "AE", "AF"})
  void strings(String opcode) {
    String[] prefixes = {"", "66", "48", "67", "6748"};
    String[] repeats = {"", "F2", "F3"};
    for (String prefix : prefixes) {
      if (prefix.equals("66") && !opcode.matches(".[57BDF]")) {
        continue;
      }
      for (String repeat : repeats) {
        for (int n = 0; n < 150; n++) {
          run(repeat + prefix + opcode, stringState());
        }
      }
    }
  }

  private MachineState stringState() {
    var state = MachineState.random(random);
    int from = 0x400 + random.nextInt(0x400);
    // Near each other about as often as not: overlaps.
    int to = random.nextBoolean() ? 0x400 + random.nextInt(0x400) : from + random.nextInt(40) - 20;
    state.general[Cpu.RSI] = MachineState.MEMORY + from;
    state.general[Cpu.RDI] = MachineState.MEMORY + to;
    state.general[Cpu.RCX] = random.nextInt(8) == 0 ? 0 : random.nextInt(64);
    if (random.nextBoolean()) {
      state.flags |= Cpu.DF;
    }
    switch (random.nextInt(3)) {
      case 0 -> {
        // All alike: comparisons go on.
        java.util.Arrays.fill(state.memory, (byte) 0x5A);
        state.general[Cpu.RAX] = 0x5A5A_5A5A_5A5A_5A5AL;
        state.memory[0x400 + random.nextInt(0x400)] = 0;
      }
      case 1 -> {
        for (int i = 0; i < MachineState.MEMORY_SIZE; i++) {
          state.memory[i] = (byte) random.nextInt(2);
        }
        state.general[Cpu.RAX] = random.nextInt(2);
      }
      default -> {}
    }
    return state;
  }
}
