package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;
import java.util.random.RandomGenerator;

/// Makes 64-bit machine code for the differential tests: an opcode with random operands. Registers
/// are any but RSP; memory operands lie in {@link MachineState#memory}, below {@link
/// MachineState#STACK}, and the state's registers are set so that they do.
final class InstructionForms {
  /// Memory operands lie at these offsets, so that wide ones and bit strings fit around them.
  private static final int FIRST = 0x200;

  private static final int LAST = 0xA00;

  private final RandomGenerator random;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  InstructionForms(RandomGenerator random) {
    this.random = random;
  }

  /// A random general register, 0 to 15 but not RSP.
  int register() {
    int n;
    do {
      n = random.nextInt(16);
    } while (n == Cpu.RSP);
    return n;
  }

  /// An instruction with register operands.
  ///
  /// @param prefix legacy prefixes in hexadecimal, as "66" or "F3"; may be empty
  /// @param opcode in hexadecimal, as "0F B6"
  /// @param rexW whether REX.W is set
  /// @param reg ModR/M.reg, 0 to 15
  /// @param rm ModR/M.rm, 0 to 15
  /// @param tail immediate bytes
  /// @param rex whether a REX prefix is there even if it is not needed (SPL to DIL)
  byte[] registers(
      String prefix, String opcode, boolean rexW, int reg, int rm, boolean rex, byte... tail) {
    begin(prefix);
    rex(rexW, reg, 0, rm, rex);
    out.writeBytes(parse(opcode));
    out.write(0xC0 | (reg & 7) << 3 | rm & 7);
    out.writeBytes(tail);
    return out.toByteArray();
  }

  /// As {@link #registers(String, String, boolean, int, int, boolean, byte...)}, REX only if
  // needed.
  byte[] registers(String prefix, String opcode, boolean rexW, int reg, int rm, byte... tail) {
    return registers(prefix, opcode, rexW, reg, rm, false, tail);
  }

  /// An instruction with a memory operand at a random place, in a random form: base, base and
  /// displacement, base and scaled index, RIP-relative, absolute. Sets the registers of `state`
  /// that the address is made of; none of them is `reg`, so that its value stays the test's.
  ///
  /// @param alignment of the operand, a power of two
  byte[] memory(
      MachineState state,
      String prefix,
      String opcode,
      boolean rexW,
      int reg,
      int alignment,
      byte... tail) {
    long address = MachineState.MEMORY + (FIRST + random.nextInt(LAST - FIRST) & -alignment);
    return memoryAt(state, address, prefix, opcode, rexW, reg, tail);
  }

  /// As {@link #memory}, at a given linear address.
  byte[] memoryAt(
      MachineState state,
      long address,
      String prefix,
      String opcode,
      boolean rexW,
      int reg,
      byte... tail) {
    begin(prefix);
    int base = otherRegister(reg, -1);
    int low = (reg & 7) << 3;
    var op = parse(opcode);
    switch (random.nextInt(5)) {
      case 0 -> {
        // [base + disp8] or [base + disp32]
        boolean small = random.nextBoolean();
        int displacement = small ? (byte) random.nextInt() : random.nextInt(0x1000_0000);
        state.general[base] = address - displacement;
        rex(rexW, reg, 0, base, false);
        out.writeBytes(op);
        out.write((small ? 0x40 : 0x80) | low | ((base & 7) == 4 ? 4 : base & 7));
        if ((base & 7) == 4) {
          out.write(0x24);
        }
        displacement(displacement, small ? 1 : 4);
      }
      case 1 -> {
        // [base + index * scale + disp8]
        int index = otherRegister(reg, base);
        int scale = random.nextInt(4);
        int displacement = (byte) random.nextInt();
        state.general[index] = random.nextInt();
        state.general[base] = address - displacement - (state.general[index] << scale);
        rex(rexW, reg, index, base, false);
        out.writeBytes(op);
        out.write(0x44 | low);
        out.write(scale << 6 | (index & 7) << 3 | base & 7);
        displacement(displacement, 1);
      }
      case 2 -> {
        // [RIP + disp32]
        rex(rexW, reg, 0, 0, false);
        out.writeBytes(op);
        out.write(5 | low);
        int end = out.size() + 4 + tail.length;
        displacement((int) (address - MachineState.CODE - end), 4);
      }
      case 3 -> {
        // [disp32]
        rex(rexW, reg, 0, 0, false);
        out.writeBytes(op);
        out.write(4 | low);
        out.write(0x25);
        displacement((int) address, 4);
      }
      default -> {
        // [base]
        while ((base & 7) == 5 || (base & 7) == 4) {
          base = otherRegister(reg, -1);
        }
        state.general[base] = address;
        rex(rexW, reg, 0, base, false);
        out.writeBytes(op);
        out.write(low | base & 7);
      }
    }
    out.writeBytes(tail);
    return out.toByteArray();
  }

  private int otherRegister(int one, int another) {
    int n;
    do {
      n = register();
      // AH to BH are encoded as 4 to 7 and live in 0 to 3: keep those free of addresses.
    } while (n == one || n == another || n == Cpu.RCX || n == Cpu.RAX || (one < 8 && n == one - 4));
    return n;
  }

  private void begin(String prefix) {
    out.reset();
    out.writeBytes(parse(prefix));
  }

  private void rex(boolean w, int reg, int index, int base, boolean forced) {
    int rex = (w ? 8 : 0) | (reg & 8) >> 1 | (index & 8) >> 2 | (base & 8) >> 3;
    if (rex != 0 || forced) {
      out.write(0x40 | rex);
    }
  }

  private void displacement(int value, int size) {
    for (int i = 0; i < size; i++) {
      out.write(value >> 8 * i);
    }
  }

  /// Bytes from hexadecimal; spaces are ignored.
  static byte[] parse(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }
}
