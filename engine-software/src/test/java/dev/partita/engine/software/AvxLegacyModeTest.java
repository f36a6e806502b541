package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// VEX-coded instructions in 16- and 32-bit code, against the host's processor: eight registers,
/// whatever VEX.B and the top bit of VEX.vvvv say, and no 64-bit general registers, whatever VEX.W.
class AvxLegacyModeTest {
  private static final int RUNS = 200;

  /// As in {@link VexForms}. The general registers' forms with any W.
  private static final String FORMS =
      """
      NP 0F 10 W? L? rm
      NP 0F 11 W? L? rm
      66 0F 6F W? L? r
      66 0F 6E W? L0 rmg
      66 0F 7E W? L0 rmg
      F3 0F 7E W? L0 rm
      NP 0F 16 W? L0 vrm
      66 0F FE W? L? vrm
      66 0F 72/2 W? L? vri
      66 0F D7 W? L? rG
      NP 0F 50 W? L? rG
      66 0F C4 W? L0 vrmgi
      66 0F3A 14 W? L0 rmgi
      66 0F3A 16 W? L0 rmgi
      66 0F3A 20 W? L0 vrmgi
      66 0F3A 22 W? L0 vrmgi
      66 0F3A 4A W0 L? vrmi
      66 0F3A 4C W0 L? vrmi
      66 0F3A 06 W0 L1 vrmi
      66 0F3A 60 W? L0 rmi
      66 0F3A 61 W? L0 rmi
      66 0F3A 62 W? L0 rmi
      66 0F3A 63 W? L0 rmi
      66 0F38 2C W0 L? vm
      66 0F38 2E W0 L? vm
      66 0F38 8C W? L? vm
      66 0F38 8E W? L? vm
      66 0F38 98 W? L? vrm
      66 0F38 B9 W? L? vrm
      66 0F38 45 W? L? vrm
      F3 0F 2A W? L? vrmg
      F2 0F 2A W? L? vrmg
      F3 0F 2C W? L? rmG
      F2 0F 2D W? L? rmG
      NP 0F38 F2 W? L0 vrmgG
      66 0F38 F7 W? L0 vrmgG
      """;

  private final RandomGenerator random = new Random(60);

  private int general() {
    int n;
    do {
      n = random.nextInt(8);
    } while (n == Cpu.RSP);
    return n;
  }

  private byte[] encode(LegacyMode mode, VexForms.Form form, MachineState state) {
    var out = new ByteArrayOutputStream();
    int w = form.w() == '?' ? random.nextInt(2) : form.w() - '0';
    int l = form.l() == '?' ? random.nextInt(2) : form.l() - '0';
    int reg =
        form.extension() >= 0 ? form.extension() : form.has('G') ? general() : random.nextInt(8);
    int v = form.has('v') ? random.nextInt(16) : 0;
    boolean memory = form.has('m') && (!form.has('r') || random.nextBoolean());
    int base = general();
    while (form.has('G') && base == reg) {
      base = general();
    }
    if (memory && mode.size == 16) {
      out.write(0x67);
    }
    out.write(0xC4);
    out.write(0xC0 | random.nextInt(2) << 5 | form.map());
    out.write(w << 7 | (~v & 15) << 3 | l << 2 | form.pp());
    out.write(form.opcode());
    if (memory) {
      long address = mode.memoryOffset() + 0x200 + random.nextInt(0x800);
      int displacement = (byte) random.nextInt();
      if (mode.size == 16) {
        displacement &= 0x7F;
      }
      state.general[base] = address - displacement & 0xFFFF_FFFFL;
      out.write(0x40 | reg << 3 | base);
      out.write(displacement);
    } else {
      int rm = form.has('g') ? general() : random.nextInt(8);
      out.write(0xC0 | reg << 3 | rm);
    }
    if (form.has('i')) {
      out.write(random.nextInt());
    }
    return out.toByteArray();
  }

  @ParameterizedTest
  @EnumSource(LegacyMode.class)
  void formsAgree(LegacyMode mode) {
    mode.require();
    NativeProcessor.requireFeatures("avx2", "fma", "bmi1", "bmi2");
    for (String line : VexForms.lines(FORMS)) {
      var form = VexForms.Form.parse(line);
      for (int n = 0; n < RUNS; n++) {
        var state = mode.state(random);
        try {
          mode.compare(encode(mode, form, state), state, Differential.ALL_FLAGS);
        } catch (AssertionError e) {
          throw new AssertionError(line + ": " + e.getMessage(), e);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(LegacyMode.class)
  void clearingSparesTheUpperEightRegisters(LegacyMode mode) {
    mode.require();
    NativeProcessor.requireFeatures("avx");
    for (String code : new String[] {"C5F877", "C5FC77"}) {
      mode.compare(InstructionForms.parse(code), mode.state(random), Differential.ALL_FLAGS);
    }
  }

  @ParameterizedTest
  @EnumSource(LegacyMode.class)
  void gathersAgree(LegacyMode mode) {
    mode.require();
    NativeProcessor.requireFeatures("avx2");
    for (int n = 0; n < 4 * RUNS; n++) {
      var state = mode.state(random);
      int first = random.nextInt(8);
      int mask = (first + 1 + random.nextInt(7)) % 8;
      int index = mask;
      while (index == mask || index == first) {
        index = random.nextInt(8);
      }
      int base = general();
      // Indexes from -16 to 15, of both sizes.
      int opcode = 0x90 + random.nextInt(4);
      for (int k = 0; k < 2; k++) {
        state.xmm[2 * index + k] = index(opcode);
        state.ymm[2 * index + k] = index(opcode);
      }
      state.general[base] = mode.memoryOffset() + 0x600;
      var out = new ByteArrayOutputStream();
      if (mode.size == 16) {
        out.write(0x67);
      }
      int w = random.nextInt(2);
      int l = random.nextInt(2);
      out.writeBytes(
          new byte[] {
            (byte) 0xC4,
            (byte) 0xE2,
            (byte) (w << 7 | (~mask & 15) << 3 | l << 2 | 1),
            (byte) opcode,
            (byte) (0x44 | first << 3),
            (byte) (random.nextInt(4) << 6 | index << 3 | base),
            (byte) random.nextInt(100)
          });
      mode.compare(out.toByteArray(), state, Differential.ALL_FLAGS);
    }
  }

  private long index(int opcode) {
    long low = random.nextInt(-16, 16);
    return (opcode & 1) != 0 ? low : low & 0xFFFF_FFFFL | (long) random.nextInt(-16, 16) << 32;
  }
}
