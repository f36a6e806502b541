package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;

/// Random programs of user mode that loop, jump, call, and change their own code while they run:
/// immediates, conditions, displacements of jumps, registers of instructions.
final class ChangingCode {
  /// Registers that programs use; R14 points into the test's memory, R15 counts loops.
  private static final int[] REGISTERS = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13};

  private static final int BASE = 14;
  private static final int COUNTER = 15;

  private final RandomGenerator random;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /// Offsets of bytes that may be any: parts of immediates.
  private final List<Integer> free = new ArrayList<>();

  /// Offsets of opcodes of conditional jumps.
  private final List<Integer> conditions = new ArrayList<>();

  /// Offsets of ModR/M bytes of instructions on two registers, none of them R14, R15 or RSP.
  private final List<Integer> modes = new ArrayList<>();

  /// Offsets of displacements that are to be filled in: of writes to code.
  private final List<Integer> writes = new ArrayList<>();

  private ChangingCode(RandomGenerator random) {
    this.random = random;
  }

  /// @param loops most times that a program loops
  static byte[] program(RandomGenerator random, MachineState state, int loops) {
    state.general[BASE] = MachineState.MEMORY + 0x400;
    state.general[COUNTER] = 1 + random.nextInt(loops);
    return new ChangingCode(random).program();
  }

  private int register() {
    return REGISTERS[random.nextInt(REGISTERS.length)];
  }

  private void bytes(int... values) {
    for (int value : values) {
      out.write(value);
    }
  }

  private void immediate(int size) {
    for (int i = 0; i < size; i++) {
      free.add(out.size());
      out.write(random.nextInt(256));
    }
  }

  private void instruction() {
    switch (random.nextInt(9)) {
      case 0, 1 -> {
        // add, or, adc, sbb, and, sub, xor, cmp with an immediate
        int r = register();
        bytes(0x48 | r >> 3, 0x81, 0xC0 | random.nextInt(8) << 3 | r & 7);
        immediate(4);
      }
      case 2 -> {
        int r = register();
        bytes(0x40 | r >> 3, 0xB8 | r & 7);
        immediate(4);
      }
      case 3, 4 -> {
        // The same on two registers, RAX to RDI but RSP: the ModR/M byte may change.
        bytes(0x48, random.nextInt(8) << 3 | 1);
        modes.add(out.size());
        out.write(mode());
      }
      case 5 -> {
        // mov [r14 + d], r or the other way
        int r = register();
        bytes(0x49 | r >> 3 << 2, random.nextBoolean() ? 0x89 : 0x8B, 0x40 | (r & 7) << 3 | 6);
        bytes(random.nextInt(16) * 8);
      }
      case 6 -> {
        // call to what follows, pop
        int r = register();
        bytes(0xE8, 0, 0, 0, 0, 0x40 | r >> 3, 0x58 | r & 7);
      }
      default -> write();
    }
  }

  private int mode() {
    int reg = random.nextInt(7);
    int rm = random.nextInt(7);
    return 0xC0 | (reg < 4 ? reg : reg + 1) << 3 | (rm < 4 ? rm : rm + 1);
  }

  /// A write to the program's own code; where is decided when all of it is known.
  private void write() {
    switch (random.nextInt(4)) {
      case 0 -> {
        // mov byte [rip + d], r
        int r = register();
        bytes(0x40 | r >> 3 << 2, 0x88, (r & 7) << 3 | 5);
        writes.add(out.size());
        bytes(0, 0, 0, 0);
      }
      case 1 -> {
        // inc byte [rip + d]
        bytes(0xFE, 5);
        writes.add(out.size());
        bytes(0, 0, 0, 0);
      }
      default -> {
        // xor byte [rip + d], imm8; the immediate is filled in with the target.
        bytes(0x80, 0x35);
        writes.add(out.size());
        bytes(0, 0, 0, 0, 0);
      }
    }
  }

  private byte[] program() {
    // mov eax, imm32: so there is always something that may change.
    out.write(0xB8);
    immediate(4);
    int parts = 2 + random.nextInt(6);
    for (int i = 0; i < parts; i++) {
      if (random.nextBoolean()) {
        int jump = out.size();
        conditions.add(jump);
        bytes(0x70 | random.nextInt(16), 0);
        body();
        patches.add(new int[] {jump + 1, out.size() - jump - 2});
      } else {
        body();
      }
    }
    // dec r15; jnz to the start
    bytes(0x49, 0xFF, 0xCF, 0x0F, 0x85);
    int back = -(out.size() + 4);
    bytes(back, back >> 8, back >> 16, back >> 24);
    var code = out.toByteArray();
    for (var patch : patches) {
      code[patch[0]] = (byte) patch[1];
    }
    writes.forEach(at -> aim(code, at));
    return code;
  }

  /// Bytes to set when all is known: offset and value.
  private final List<int[]> patches = new ArrayList<>();

  private void body() {
    int n = 1 + random.nextInt(4);
    for (int k = 0; k < n; k++) {
      instruction();
    }
  }

  private void aim(byte[] code, int at) {
    boolean xor = code[at - 2] == (byte) 0x80 && code[at - 1] == 0x35;
    int target;
    int change = random.nextInt(256);
    int kind = xor ? random.nextInt(3) : 0;
    if (kind == 1 && !conditions.isEmpty()) {
      target = conditions.get(random.nextInt(conditions.size()));
      change &= 0x0F;
    } else if (kind == 2 && !modes.isEmpty()) {
      target = modes.get(random.nextInt(modes.size()));
      // Another of the registers that were not RSP: from RAX, RCX, RDX, RBX to RBP, RSI, RDI no
      // single change is safe, so only among the first four.
      change =
          ((code[target] & 0x20) == 0 ? change & 0x18 : 0)
              | ((code[target] & 4) == 0 ? change & 3 : 0);
    } else {
      target = free.get(random.nextInt(free.size()));
    }
    int end = at + (xor ? 5 : 4);
    int displacement = target - end;
    for (int i = 0; i < 4; i++) {
      code[at + i] = (byte) (displacement >> 8 * i);
    }
    if (xor) {
      code[at + 4] = (byte) change;
    }
  }
}
