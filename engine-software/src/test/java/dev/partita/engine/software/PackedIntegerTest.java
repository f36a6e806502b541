package dev.partita.engine.software;

import static dev.partita.engine.software.VectorForms.Source.BOTH;
import static dev.partita.engine.software.VectorForms.Source.MEMORY;
import static dev.partita.engine.software.VectorForms.Source.REGISTER;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Integer, bitwise and moving instructions on MMX and XMM registers, against the host's processor.
class PackedIntegerTest {
  private static final int RUNS = 150;

  private final VectorForms forms = new VectorForms(new Random(20));

  @BeforeEach
  void needsTheHost() {
    NativeProcessor.require();
  }

  private void check(String prefix, String opcode, VectorForms.Source source, boolean immediate) {
    forms.compare(prefix, opcode, false, source, immediate, RUNS, (state, random) -> {});
  }

  private void mmxAndXmm(String opcode, boolean immediate) {
    check("", opcode, BOTH, immediate);
    check("66", opcode, BOTH, immediate);
  }

  /// Small counts are as likely as others.
  private static void shiftCounts(MachineState state, java.util.random.RandomGenerator random) {
    for (int i = 0; i < 16; i++) {
      if (random.nextBoolean()) {
        state.xmm[2 * i] = random.nextInt(70);
      }
    }
    for (int i = 0; i < 8; i++) {
      if (random.nextBoolean()) {
        state.setRegister(i, 0xFFFF, random.nextInt(70));
      }
    }
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      if (random.nextBoolean()) {
        state.setMemory(i, random.nextInt(70));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "60", "61", "62", "63", "64", "65", "66", "67", "68", "69", "6A", "6B", "74", "75", "76",
        "D4", "D5", "D8", "D9", "DA", "DB", "DC", "DD", "DE", "DF", "E0", "E3", "E4", "E5", "E8",
        "E9", "EA", "EB", "EC", "ED", "EE", "EF", "F4", "F5", "F6", "F8", "F9", "FA", "FB", "FC",
        "FD", "FE"
      })
  void arithmetic(String opcode) {
    mmxAndXmm("0F" + opcode, false);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "0A", "0B", "1C", "1D", "1E"
      })
  void supplementalSse3(String opcode) {
    mmxAndXmm("0F38" + opcode, false);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "10", "14", "15", "17", "20", "21", "22", "23", "24", "25", "28", "29", "2B", "30", "31",
        "32", "33", "34", "35", "37", "38", "39", "3A", "3B", "3C", "3D", "3E", "3F", "40", "41"
      })
  void sse4(String opcode) {
    check("66", "0F38" + opcode, BOTH, false);
  }

  @ParameterizedTest
  @ValueSource(strings = {"D1", "D2", "D3", "E1", "E2", "F1", "F2", "F3"})
  void shifts(String opcode) {
    forms.compare("", "0F" + opcode, false, BOTH, false, RUNS, PackedIntegerTest::shiftCounts);
    forms.compare("66", "0F" + opcode, false, BOTH, false, RUNS, PackedIntegerTest::shiftCounts);
  }

  @Test
  void shiftsByImmediate() {
    var random = new Random(21);
    int[][] extensions = {{2, 4, 6}, {2, 4, 6}, {2, 3, 6, 7}};
    for (int k = 0; k < 3; k++) {
      for (int extension : extensions[k]) {
        for (int n = 0; n < 200; n++) {
          var state = MachineState.random(random).withMmx(random);
          boolean xmm = (extension & 1) != 0 || random.nextBoolean();
          int rm = random.nextInt(xmm ? 16 : 8);
          byte count = (byte) (random.nextBoolean() ? random.nextInt(70) : random.nextInt());
          var code =
              xmm && rm >= 8
                  ? new byte[] {
                    0x66,
                    0x41,
                    0x0F,
                    (byte) (0x71 + k),
                    (byte) (0xC0 | extension << 3 | rm & 7),
                    count
                  }
                  : new byte[] {
                    (byte) (xmm ? 0x66 : 0x3E),
                    0x0F,
                    (byte) (0x71 + k),
                    (byte) (0xC0 | extension << 3 | rm),
                    count
                  };
          Differential.compare(code, state, Differential.ALL_FLAGS);
        }
      }
    }
  }

  @Test
  void shuffles() {
    check("", "0F70", BOTH, true);
    check("66", "0F70", BOTH, true);
    check("F3", "0F70", BOTH, true);
    check("F2", "0F70", BOTH, true);
    check("", "0FC6", BOTH, true);
    check("66", "0FC6", BOTH, true);
    check("", "0F3A0F", BOTH, true);
    check("66", "0F3A0F", BOTH, true);
    for (String opcode : new String[] {"6C", "6D", "14", "15"}) {
      check("66", "0F" + opcode, BOTH, false);
    }
    check("", "0F14", BOTH, false);
    check("", "0F15", BOTH, false);
  }

  @Test
  void blendsAndInsertions() {
    for (String opcode : new String[] {"0C", "0D", "0E", "21", "42"}) {
      check("66", "0F3A" + opcode, BOTH, true);
    }
    for (boolean wide : new boolean[] {false, true}) {
      forms.compare("66", "0F3A20", wide, BOTH, true, RUNS, (state, random) -> {});
      forms.compare("66", "0F3A22", wide, BOTH, true, RUNS, (state, random) -> {});
      forms.compare("", "0FC4", wide, BOTH, true, RUNS, (state, random) -> {});
      forms.compare("66", "0FC4", wide, BOTH, true, RUNS, (state, random) -> {});
    }
  }

  @Test
  void bitwiseOnFloatingPointTypes() {
    for (String opcode : new String[] {"54", "55", "56", "57"}) {
      mmxLess(opcode);
    }
  }

  private void mmxLess(String opcode) {
    check("", "0F" + opcode, BOTH, false);
    check("66", "0F" + opcode, BOTH, false);
  }

  @Test
  void extractions() {
    // A destination in a general register must not be RSP.
    for (boolean wide : new boolean[] {false, true}) {
      for (String opcode : new String[] {"14", "15", "16", "17"}) {
        extraction("66", "0F3A" + opcode, wide, true, false);
        forms.compare("66", "0F3A" + opcode, wide, MEMORY, true, RUNS, (state, random) -> {});
      }
      extraction("", "0FC5", wide, true, true);
      extraction("66", "0FC5", wide, true, true);
      extraction("", "0FD7", wide, false, true);
      extraction("66", "0FD7", wide, false, true);
      extraction("", "0F50", wide, false, true);
      extraction("66", "0F50", wide, false, true);
      extraction("66", "0F7E", wide, false, false);
      extraction("", "0F7E", wide, false, false);
      forms.compare("66", "0F7E", wide, MEMORY, false, RUNS, (state, random) -> {});
      forms.compare("", "0F7E", wide, MEMORY, false, RUNS, (state, random) -> {});
    }
  }

  private void extraction(
      String prefix, String opcode, boolean wide, boolean immediate, boolean generalIsReg) {
    var random = new Random(22);
    var encoder = new InstructionForms(random);
    for (int n = 0; n < RUNS; n++) {
      var state = MachineState.random(random).withMmx(random);
      var tail = immediate ? new byte[] {(byte) random.nextInt()} : new byte[0];
      int general = encoder.register();
      int vector = random.nextInt(16);
      var code =
          generalIsReg
              ? encoder.registers(prefix, opcode, wide, general, vector, tail)
              : encoder.registers(prefix, opcode, wide, vector, general, tail);
      Differential.compare(code, state, Differential.ALL_FLAGS);
    }
  }

  @Test
  void moves() {
    for (String opcode : new String[] {"10", "11"}) {
      for (String prefix : new String[] {"", "66", "F3", "F2"}) {
        check(prefix, "0F" + opcode, BOTH, false);
      }
    }
    check("", "0F12", BOTH, false);
    check("66", "0F12", MEMORY, false);
    check("F3", "0F12", BOTH, false);
    check("F2", "0F12", BOTH, false);
    check("", "0F16", BOTH, false);
    check("66", "0F16", MEMORY, false);
    check("F3", "0F16", BOTH, false);
    for (String opcode : new String[] {"13", "17", "2B", "E7"}) {
      check("", "0F" + opcode, MEMORY, false);
      check("66", "0F" + opcode, MEMORY, false);
    }
    for (String opcode : new String[] {"28", "29", "6F", "7F"}) {
      check("", "0F" + opcode, BOTH, false);
      check("66", "0F" + opcode, BOTH, false);
    }
    check("F3", "0F6F", BOTH, false);
    check("F3", "0F7F", BOTH, false);
    check("F3", "0F7E", BOTH, false);
    check("66", "0FD6", BOTH, false);
    check("F3", "0FD6", REGISTER, false);
    check("F2", "0FD6", REGISTER, false);
    check("F2", "0FF0", MEMORY, false);
    check("66", "0F382A", MEMORY, false);
    for (boolean wide : new boolean[] {false, true}) {
      forms.compare("", "0F6E", wide, BOTH, false, RUNS, (state, random) -> {});
      forms.compare("66", "0F6E", wide, BOTH, false, RUNS, (state, random) -> {});
      forms.compare("", "0FC3", wide, MEMORY, false, RUNS, (state, random) -> {});
    }
  }

  @Test
  void maskedMoves() {
    VectorForms.Preparation rdi =
        (state, random) ->
            state.general[Cpu.RDI] = MachineState.MEMORY + 0x200 + random.nextInt(0x400);
    forms.compare("", "0FF7", false, REGISTER, false, RUNS, rdi);
    forms.compare("66", "0FF7", false, REGISTER, false, RUNS, rdi);
  }

  @Test
  void emptyMmxState() {
    var random = new Random(23);
    for (int n = 0; n < 50; n++) {
      Differential.compare(
          InstructionForms.parse("0F77"),
          MachineState.random(random).withMmx(random),
          Differential.ALL_FLAGS);
    }
  }

  @Test
  void cryptography() {
    for (String opcode : new String[] {"DB", "DC", "DD", "DE", "DF"}) {
      check("66", "0F38" + opcode, BOTH, false);
    }
    check("66", "0F3ADF", BOTH, true);
    check("66", "0F3A44", BOTH, true);
    for (String opcode : new String[] {"C8", "C9", "CA", "CB", "CC", "CD"}) {
      check("", "0F38" + opcode, BOTH, false);
    }
    check("", "0F3ACC", BOTH, true);
  }

  /// Strings of few letters, zeros among them, and lengths near the limits.
  private static void strings(MachineState state, java.util.random.RandomGenerator random) {
    int letters = 2 + random.nextInt(6);
    long zeros = random.nextInt(3);
    for (int i = 0; i < 32; i++) {
      state.xmm[i] = letters(random, letters, zeros);
    }
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      state.setMemory(i, letters(random, letters, zeros));
    }
    for (int register : new int[] {Cpu.RAX, Cpu.RDX}) {
      if (random.nextInt(4) != 0) {
        state.general[register] = random.nextInt(36) - 18;
      }
    }
  }

  private static long letters(java.util.random.RandomGenerator random, int letters, long zeros) {
    long value = 0;
    for (int i = 0; i < 8; i++) {
      boolean zero = random.nextInt(20) < zeros;
      value = value << 8 | (zero ? 0 : random.nextInt(letters) - letters / 2 & 0xFF);
    }
    return random.nextInt(4) == 0 ? value & 0x00FF_00FF_00FF_00FFL : value;
  }

  @ParameterizedTest
  @ValueSource(strings = {"60", "61", "62", "63"})
  void stringComparison(String opcode) {
    for (boolean wide : new boolean[] {false, true}) {
      forms.compare("66", "0F3A" + opcode, wide, BOTH, true, 1500, PackedIntegerTest::strings);
    }
  }
}
