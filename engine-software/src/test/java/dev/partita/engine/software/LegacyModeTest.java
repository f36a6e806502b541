package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// General-register instructions in 16- and 32-bit code, against the host's processor.
class LegacyModeTest {
  private static final int RUNS = 150;

  private final RandomGenerator random = new Random(50);

  @BeforeEach
  void needsTheHost() {
    IntegerForms.requireIntel();
  }

  /// Makes an instruction with ModR/M: register or memory operand, either address size.
  ///
  /// @param bytes operand size: 1, 2 or 4
  private byte[] form(
      LegacyMode mode,
      MachineState state,
      String prefix,
      String opcode,
      int bytes,
      int extension,
      boolean memoryOnly,
      int immediateBytes) {
    var out = new ByteArrayOutputStream();
    out.writeBytes(InstructionForms.parse(prefix));
    if (bytes != 1 && bytes * 8 != mode.size) {
      out.write(0x66);
    }
    int reg = extension >= 0 ? extension : register(bytes);
    if (!memoryOnly && random.nextBoolean()) {
      out.writeBytes(InstructionForms.parse(opcode));
      out.write(0xC0 | reg << 3 | register(bytes));
    } else {
      // 16-bit addresses reach the data only where its segment starts there.
      boolean small = mode.size == 16 && random.nextInt(3) != 0;
      if (small != (mode.size == 16)) {
        out.write(0x67);
      }
      out.writeBytes(InstructionForms.parse(opcode));
      long offset = mode.memoryOffset() + 0x200 + random.nextInt(0x800);
      if (small) {
        address16(out, state, reg, (int) offset);
      } else {
        address32(out, state, reg, offset);
      }
    }
    for (int i = 0; i < immediateBytes; i++) {
      out.write(random.nextInt());
    }
    return out.toByteArray();
  }

  private int register(int bytes) {
    int n = random.nextInt(8);
    return n == Cpu.RSP && bytes != 1 ? Cpu.RBP : n;
  }

  private void address16(ByteArrayOutputStream out, MachineState state, int reg, int offset) {
    int rm = random.nextInt(8);
    int mod = random.nextInt(3);
    int displacement =
        mod == 0 && rm != 6 ? 0 : mod == 1 ? (byte) random.nextInt() : random.nextInt(0x10000);
    if (mod == 0 && rm == 6) {
      displacement = offset;
    } else {
      int left = offset - displacement;
      int index = rm < 4 ? (rm & 1) == 0 ? Cpu.RSI : Cpu.RDI : -1;
      int base = rm < 4 ? rm < 2 ? Cpu.RBX : Cpu.RBP : new int[] {6, 7, 5, 3}[rm - 4];
      if (index >= 0) {
        state.general[index] = random.nextInt() & 0xFFFF_FFFFL;
        left -= (int) state.general[index];
      }
      state.general[base] = random.nextInt() & 0xFFFF_0000L | left & 0xFFFF;
    }
    out.write(mod << 6 | reg << 3 | rm);
    int size = mod == 1 ? 1 : mod == 2 || rm == 6 ? mod == 1 ? 1 : 2 : 0;
    for (int i = 0; i < size; i++) {
      out.write(displacement >> 8 * i);
    }
  }

  private void address32(ByteArrayOutputStream out, MachineState state, int reg, long offset) {
    int displacement = random.nextInt();
    switch (random.nextInt(3)) {
      case 0 -> {
        out.write(reg << 3 | 5);
        displacement = (int) offset;
      }
      case 1 -> {
        int base = register(4);
        out.write(0x80 | reg << 3 | base);
        state.general[base] = offset - displacement & 0xFFFF_FFFFL;
      }
      default -> {
        int base = register(4);
        int index;
        do {
          index = register(4);
        } while (index == base);
        int scale = random.nextInt(4);
        out.write(0x84 | reg << 3);
        out.write(scale << 6 | index << 3 | base);
        state.general[index] = random.nextInt() & 0xFFFF_FFFFL;
        state.general[base] =
            offset - displacement - (state.general[index] << scale) & 0xFFFF_FFFFL;
      }
    }
    for (int i = 0; i < 4; i++) {
      out.write(displacement >> 8 * i);
    }
  }

  private void check(LegacyMode mode, String opcode, int bytes, int extension, int immediate) {
    check(mode, "", opcode, bytes, extension, false, immediate);
  }

  private void check(
      LegacyMode mode,
      String prefix,
      String opcode,
      int bytes,
      int extension,
      boolean memoryOnly,
      int immediate) {
    for (int n = 0; n < RUNS; n++) {
      var state = mode.state(random);
      var code = form(mode, state, prefix, opcode, bytes, extension, memoryOnly, immediate);
      mode.compare(code, state, Differential.ALL_FLAGS);
    }
  }

  private void run(LegacyMode mode, String code) {
    for (int n = 0; n < RUNS; n++) {
      mode.compare(InstructionForms.parse(code), mode.state(random), Differential.ALL_FLAGS);
    }
  }

  private static String hex(int value) {
    return "%02X".formatted(value);
  }

  @ParameterizedTest
  @EnumSource
  void arithmetic(LegacyMode mode) {
    for (int operation = 0; operation < 8; operation++) {
      check(mode, hex(8 * operation), 1, -1, 0);
      check(mode, hex(8 * operation + 2), 1, -1, 0);
      check(mode, "80", 1, operation, 1);
      check(mode, "82", 1, operation, 1);
      for (int bytes = 2; bytes <= 4; bytes += 2) {
        check(mode, hex(8 * operation + 1), bytes, -1, 0);
        check(mode, hex(8 * operation + 3), bytes, -1, 0);
        check(mode, "81", bytes, operation, bytes);
        check(mode, "83", bytes, operation, 1);
        if (operation != 7) {
          check(mode, "F0", hex(8 * operation + 1), bytes, -1, true, 0);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void moves(LegacyMode mode) {
    for (int bytes = 1; bytes <= 4; bytes *= 2) {
      int wide = bytes == 1 ? 0 : 1;
      check(mode, hex(0x88 + wide), bytes, -1, 0);
      check(mode, hex(0x8A + wide), bytes, -1, 0);
      check(mode, hex(0xC6 + wide), bytes, 0, bytes);
      check(mode, hex(0x86 + wide), bytes, -1, 0);
      check(mode, "0F" + hex(0xB0 + wide), bytes, -1, 0);
      check(mode, "0F" + hex(0xC0 + wide), bytes, -1, 0);
      if (bytes > 1) {
        check(mode, "", "8D", bytes, -1, true, 0);
        check(mode, "0F44", bytes, -1, 0);
        check(mode, "0FB6", bytes, 0, 0);
        check(mode, "0FBE", bytes, 0, 0);
        check(mode, "", "FF", bytes, 6, true, 0);
        check(mode, "", "8F", bytes, 0, true, 0);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void shiftsMultiplicationsAndBits(LegacyMode mode) {
    for (int bytes = 1; bytes <= 4; bytes *= 2) {
      int wide = bytes == 1 ? 0 : 1;
      for (int operation = 0; operation < 8; operation++) {
        check(mode, hex(0xC0 + wide), bytes, operation, 1);
        check(mode, hex(0xD0 + wide), bytes, operation, 0);
        check(mode, hex(0xD2 + wide), bytes, operation, 0);
      }
      check(mode, hex(0xF6 + wide), bytes, 4, 0);
      check(mode, hex(0xF6 + wide), bytes, 5, 0);
      if (bytes > 1) {
        check(mode, "0FA4", bytes, -1, 1);
        check(mode, "0FAD", bytes, -1, 0);
        check(mode, "0FAF", bytes, -1, 0);
        check(mode, "69", bytes, -1, bytes);
        check(mode, "0FBC", bytes, -1, 0);
        check(mode, "F3", "0FBD", bytes, -1, false, 0);
        check(mode, "0FBA", bytes, 7, 1);
      }
    }
    // VEX-coded: ANDN, BZHI, RORX with the upper bits of VEX.vvvv and VEX.W ignored
    run(mode, "C4E270F2C2");
    run(mode, "C4E2F0F2C2");
    run(mode, "C4E270F5C2");
    run(mode, "C4E37BF0C205");
  }

  @ParameterizedTest
  @EnumSource
  void onlyOutsideLongMode(LegacyMode mode) {
    for (int register = 0; register < 8; register++) {
      for (String prefix : new String[] {"", "66"}) {
        run(mode, prefix + hex(0x40 + register));
        run(mode, prefix + hex(0x48 + register));
      }
    }
    for (String code : new String[] {"D6", "60", "6660", "61", "6661", "D50A", "D507", "D40A"}) {
      run(mode, code);
    }
    run(mode, "D403");
  }

  @ParameterizedTest
  @EnumSource
  void decimal(LegacyMode mode) {
    for (int al = 0; al < 256; al++) {
      for (int flags = 0; flags < 4; flags++) {
        var state = mode.state(random);
        state.general[Cpu.RAX] = state.general[Cpu.RAX] & ~0xFFL | al;
        state.flags = 2 | ((flags & 1) != 0 ? Cpu.CF : 0) | ((flags & 2) != 0 ? Cpu.AF : 0);
        mode.compare(new byte[] {0x27}, state, Differential.ALL_FLAGS);
        mode.compare(new byte[] {0x2F}, state, Differential.ALL_FLAGS);
        mode.compare(new byte[] {0x37}, state, Differential.ALL_FLAGS);
        mode.compare(new byte[] {0x3F}, state, Differential.ALL_FLAGS);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void stack(LegacyMode mode) {
    for (int register = 0; register < 8; register++) {
      for (String prefix : new String[] {"", "66"}) {
        run(mode, prefix + hex(0x50 + register));
        if (register != Cpu.RSP) {
          run(mode, prefix + hex(0x58 + register));
        }
      }
    }
    // PUSH SP, POP SP
    run(mode, "545C");
    run(mode, "6A85");
    run(mode, "666A85");
    run(mode, mode.size == 16 ? "688534" : "6885345678");
    run(mode, mode.size == 16 ? "666812345678" : "66681234");
    run(mode, "9C");
    run(mode, "669C");
    run(mode, "9C9D");
    for (int n = 0; n < RUNS; n++) {
      var state = mode.state(random);
      state.general[Cpu.RBP] =
          MachineState.STACK + 8 * random.nextInt(0x60) | (long) random.nextInt(2) << 30;
      if (mode.size == 32) {
        state.general[Cpu.RBP] &= 0x3FFF_FFFF;
      }
      for (String code :
          new String[] {"C9", "66C9", "C8100000", "66C8100001", "C8080003", "66C8080005"}) {
        mode.compare(InstructionForms.parse(code), state, Differential.ALL_FLAGS);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void branches(LegacyMode mode) {
    for (int condition = 0; condition < 16; condition++) {
      run(mode, hex(0x70 + condition) + "0140");
      run(mode, "0F" + hex(0x80 + condition) + (mode.size == 16 ? "010040" : "0100000040"));
    }
    String wide = mode.size == 16 ? "66" : "";
    run(mode, "EB0140");
    run(mode, wide + "E90100000040");
    run(mode, wide + "E80100000040");
    if (mode.size == 16) {
      run(mode, "E9010040");
      run(mode, "E8010040");
      // CALL over a JMP to a RET that releases 6 bytes
      run(mode, "E80200EB03C20600");
      run(mode, "E80200EB01C3");
    } else {
      run(mode, "E802000000EB03C20600");
      run(mode, "E802000000EB01C3");
    }
    for (String opcode : new String[] {"E0", "E1", "E2", "E3"}) {
      for (int n = 0; n < RUNS; n++) {
        var state = mode.state(random);
        state.general[Cpu.RCX] = (long) random.nextInt(2) << 16 | random.nextInt(3);
        mode.compare(InstructionForms.parse(opcode + "0140"), state, Differential.ALL_FLAGS);
        mode.compare(InstructionForms.parse("67" + opcode + "0140"), state, Differential.ALL_FLAGS);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void strings(LegacyMode mode) {
    String[] opcodes = {"A4", "A5", "A6", "A7", "AA", "AB", "AC", "AD", "AE", "AF"};
    for (String opcode : opcodes) {
      for (String repeat : new String[] {"", "F2", "F3"}) {
        for (String prefix : new String[] {"", "66", "67", "6667"}) {
          if (mode.size == 32 && prefix.contains("67")) {
            // 16-bit addresses do not reach the data.
            continue;
          }
          for (int n = 0; n < 60; n++) {
            var state = mode.state(random);
            long at = mode.memoryOffset();
            boolean small = mode.size == 16 && !prefix.contains("67");
            state.general[Cpu.RSI] = at + 0x400 + random.nextInt(0x400);
            state.general[Cpu.RDI] = at + 0x400 + random.nextInt(0x400);
            state.general[Cpu.RCX] = random.nextInt(50);
            if (small) {
              // The upper halves do not count.
              state.general[Cpu.RSI] |= (long) random.nextInt(0x10000) << 16;
              state.general[Cpu.RCX] |= (long) random.nextInt(0x10000) << 16;
            }
            if (random.nextBoolean()) {
              Arrays.fill(state.memory, (byte) 7);
              state.memory[0x400 + random.nextInt(0x400)] = 1;
              state.general[Cpu.RAX] = 0x0707_0707;
            }
            if (random.nextBoolean()) {
              state.flags |= Cpu.DF;
            }
            mode.compare(
                InstructionForms.parse(repeat + prefix + opcode), state, Differential.ALL_FLAGS);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void divisions(LegacyMode mode) {
    int faults = 0;
    for (int n = 0; n < 1500; n++) {
      boolean wide = random.nextBoolean();
      var state = mode.state(random);
      state.general[Cpu.RCX] = MachineState.interesting(random) & 0xFFFF_FFFFL;
      state.general[Cpu.RDX] = random.nextInt(3) == 0 ? 0 : random.nextInt(0x100);
      // DIV CX, DIV ECX
      var code = InstructionForms.parse((wide == (mode.size == 32) ? "" : "66") + "F7F1");
      long mask = wide ? 0xFFFF_FFFFL : 0xFFFF;
      if ((state.general[Cpu.RDX] & mask) < (state.general[Cpu.RCX] & mask)) {
        mode.compare(code, state, Differential.ALL_FLAGS);
      } else {
        faults++;
        assertThat(mode.run(code, state)).isEqualTo(GuestFault.DIVIDE_ERROR);
        assertThat(mode.stateAfter().general).isEqualTo(state.general);
      }
    }
    assertThat(faults).isBetween(50, 1450);
  }
}
