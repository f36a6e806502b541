package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;

/// Runs VEX-coded forms with random operands on the host and in the engine.
///
/// A form is written as in the manual, with what can be chosen after it: `66 0F38 00 W? L? vrm`.
///
/// | part | what |
/// |---|---|
/// | NP, 66, F3, F2 | VEX.pp |
/// | 0F, 0F38, 0F3A | VEX.mmmmm |
/// | two digits | opcode; `/n` after them an opcode extension in ModR/M.reg |
/// | W0, W1, W? | VEX.W, `?` any |
/// | L0, L1, L? | VEX.L |
/// | v | VEX.vvvv names a register |
/// | r, m | ModR/M.rm is a register, memory |
/// | i | an immediate byte |
/// | G | ModR/M.reg names a general register |
/// | g | ModR/M.rm names a general register, if it is a register |
/// | a | memory is aligned |
final class VexForms {
  private final RandomGenerator random;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /// How many vector registers are used, from number 7 on.
  private int registers = 16;

  VexForms(RandomGenerator random) {
    this.random = random;
  }

  /// Makes forms that use two vector registers only, so that most name one twice.
  VexForms few() {
    registers = 2;
    return this;
  }

  private int vector() {
    return (7 + random.nextInt(registers)) % 16;
  }

  /// A form; see above.
  record Form(int pp, int map, int opcode, int extension, char w, char l, String operands) {
    static Form parse(String text) {
      var parts = text.trim().split(" +");
      int pp = List.of("NP", "66", "F3", "F2").indexOf(parts[0]);
      int map = List.of("0F", "0F38", "0F3A").indexOf(parts[1]) + 1;
      if (pp < 0 || map < 1 || parts.length != 6) {
        throw new IllegalArgumentException(text);
      }
      var opcode = parts[2];
      int extension = -1;
      if (opcode.contains("/")) {
        extension = opcode.charAt(3) - '0';
        opcode = opcode.substring(0, 2);
      }
      return new Form(
          pp,
          map,
          Integer.parseInt(opcode, 16),
          extension,
          parts[3].charAt(1),
          parts[4].charAt(1),
          parts[5]);
    }

    /// The same without memory.
    Form ofRegisters() {
      return new Form(pp, map, opcode, extension, w, l, operands.replace("m", ""));
    }

    boolean has(char c) {
      return operands.indexOf(c) >= 0;
    }
  }

  /// Compares host and engine on one form.
  void compare(String text, int runs, VectorForms.Preparation preparation) {
    var form = Form.parse(text);
    for (int n = 0; n < runs; n++) {
      var state = MachineState.random(random).withMmx(random);
      preparation.prepare(state, random);
      var code = encode(form, state);
      try {
        Differential.compare(code, state, Differential.ALL_FLAGS, n % 16 == 0);
      } catch (AssertionError e) {
        throw new AssertionError(text + ": " + e.getMessage(), e);
      }
    }
  }

  private int general() {
    int n;
    do {
      n = random.nextInt(16);
    } while (n == Cpu.RSP);
    return n;
  }

  /// A random instruction of a form. Sets the registers of the state that a memory operand needs.
  byte[] encode(Form form, MachineState state) {
    int w = form.w == '?' ? random.nextInt(2) : form.w - '0';
    int l = form.l == '?' ? random.nextInt(2) : form.l - '0';
    int reg = form.extension >= 0 ? form.extension : form.has('G') ? general() : vector();
    int v = form.has('v') ? vector() : 0;
    boolean memory = form.has('m') && (!form.has('r') || random.nextBoolean());
    var tail = form.has('i') ? new byte[] {(byte) random.nextInt()} : new byte[0];
    if (!memory) {
      int rm = form.has('g') ? general() : vector();
      prefix(form, w, l, v, reg, 0, rm);
      out.write(0xC0 | (reg & 7) << 3 | rm & 7);
      out.writeBytes(tail);
      return out.toByteArray();
    }
    int offset = random.nextInt(0x800) & (form.has('a') ? -32 : -1);
    long address = MachineState.MEMORY + 0x200 + offset;
    return memory(form, w, l, v, reg, address, state, tail);
  }

  private byte[] memory(
      Form form, int w, int l, int v, int reg, long address, MachineState state, byte[] tail) {
    int base;
    do {
      base = general();
    } while (base == reg && form.has('G'));
    int low = (reg & 7) << 3;
    switch (random.nextInt(4)) {
      case 0 -> {
        boolean small = random.nextBoolean();
        int displacement = small ? (byte) random.nextInt() : random.nextInt(0x1000_0000);
        state.general[base] = address - displacement;
        prefix(form, w, l, v, reg, 0, base);
        out.write((small ? 0x40 : 0x80) | low | base & 7);
        if ((base & 7) == 4) {
          out.write(0x24);
        }
        displacement(displacement, small ? 1 : 4);
      }
      case 1 -> {
        int index;
        do {
          index = general();
        } while (index == base || (index == reg && form.has('G')));
        int scale = random.nextInt(4);
        int displacement = (byte) random.nextInt();
        state.general[index] = random.nextInt();
        state.general[base] = address - displacement - (state.general[index] << scale);
        prefix(form, w, l, v, reg, index, base);
        out.write(0x44 | low);
        out.write(scale << 6 | (index & 7) << 3 | base & 7);
        displacement(displacement, 1);
      }
      case 2 -> {
        prefix(form, w, l, v, reg, 0, 0);
        out.write(5 | low);
        displacement((int) (address - MachineState.CODE - (out.size() + 4 + tail.length)), 4);
      }
      default -> {
        prefix(form, w, l, v, reg, 0, 0);
        out.write(4 | low);
        out.write(0x25);
        displacement((int) address, 4);
      }
    }
    out.writeBytes(tail);
    return out.toByteArray();
  }

  /// A gather from the state's memory.
  ///
  /// @param index register of the vector index
  /// @param base general register, already set
  byte[] gather(
      int opcode,
      int w,
      int l,
      int to,
      int mask,
      int index,
      int base,
      int scale,
      int displacement) {
    prefix(new Form(1, 2, opcode, -1, '0', '0', ""), w, l, mask, to, index, base);
    out.write(0x84 | (to & 7) << 3);
    out.write(scale << 6 | (index & 7) << 3 | base & 7);
    displacement(displacement, 4);
    return out.toByteArray();
  }

  /// VEX and opcode; in two bytes where that is possible, mostly.
  private void prefix(Form form, int w, int l, int v, int reg, int index, int base) {
    out.reset();
    int last = (~v & 15) << 3 | l << 2 | form.pp;
    int r = (~reg & 8) << 4;
    if (form.map == 1 && w == 0 && index < 8 && base < 8 && random.nextInt(4) != 0) {
      out.write(0xC5);
      out.write(r | last);
    } else {
      out.write(0xC4);
      out.write(r | (~index & 8) << 3 | (~base & 8) << 2 | form.map);
      out.write(w << 7 | last);
    }
    out.write(form.opcode);
  }

  private void displacement(int value, int size) {
    for (int i = 0; i < size; i++) {
      out.write(value >> 8 * i);
    }
  }

  /// The lines of a table that are not blank.
  static List<String> lines(String table) {
    var lines = new ArrayList<String>();
    for (String line : table.split("\n", -1)) {
      var text = line.replaceAll("#.*", "").trim();
      if (!text.isEmpty()) {
        lines.add(text);
      }
    }
    return lines;
  }
}
