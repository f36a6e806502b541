package dev.partita.engine.software;

import java.util.HexFormat;
import java.util.function.BiFunction;

/// Compares the engine with the host's processor.
final class Differential {
  /// Flag mask: all six arithmetic flags are defined.
  static final int ALL_FLAGS = Cpu.ARITHMETIC | Cpu.DF;

  private Differential() {}

  /// Runs code natively and in the engine from the same state; fails if what comes out differs.
  ///
  /// @param flagMask the flags the code defines (others are not compared); DF always counts
  static void compare(byte[] code, MachineState state, int flagMask) {
    compare(code, state, flagMask, true);
  }

  /// As {@link #compare(byte[], MachineState, int)}, the translator only if wanted: it takes
  /// about a millisecond for code that it has not seen.
  static void compare(byte[] code, MachineState state, int flagMask, boolean translated) {
    NativeProcessor.require();
    var expected = NativeProcessor.run(code, state);
    check(code, state, flagMask, expected, "interpreter", EngineProcessor::runInterpreted);
    if (translated) {
      check(code, state, flagMask, expected, "translator", EngineProcessor::runTranslated);
    }
  }

  private static void check(
      byte[] code,
      MachineState state,
      int flagMask,
      MachineState expected,
      String tier,
      BiFunction<byte[], MachineState, MachineState> engine) {
    MachineState actual;
    try {
      actual = engine.apply(code, state);
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError(
          "%s: the %s: %s\nbefore:\n%s".formatted(bytes(code), tier, e, state), e);
    }
    String difference = difference(expected, actual, flagMask);
    if (!difference.isEmpty()) {
      throw new AssertionError(
          "%s: the %s differs from the host\n%s\nbefore:\n%s%s"
              .formatted(
                  bytes(code), tier, difference, state, memoryBefore(state, expected, actual)));
    }
  }

  /// What differs, one line each; empty if nothing. The x87 instruction and data pointers, the last
  /// opcode and the reserved bytes are not compared.
  static String difference(MachineState expected, MachineState actual, int flagMask) {
    var text = new StringBuilder();
    for (int i = 0; i < 16; i++) {
      if (expected.general[i] != actual.general[i]) {
        line(text, "r" + i, hex(expected.general[i]), hex(actual.general[i]));
      }
    }
    long mask = flagMask | Cpu.DF;
    if (((expected.flags ^ actual.flags) & mask) != 0) {
      line(text, "flags", flags(expected.flags & mask), flags(actual.flags & mask));
    }
    for (int i = 0; i < 16; i++) {
      if (expected.xmm[2 * i] != actual.xmm[2 * i]
          || expected.xmm[2 * i + 1] != actual.xmm[2 * i + 1]) {
        line(
            text,
            "xmm" + i,
            hex(expected.xmm[2 * i + 1]) + "_" + hex(expected.xmm[2 * i]),
            hex(actual.xmm[2 * i + 1]) + "_" + hex(actual.xmm[2 * i]));
      }
    }
    for (int i = 0; i < 16; i++) {
      if (expected.ymm[2 * i] != actual.ymm[2 * i]
          || expected.ymm[2 * i + 1] != actual.ymm[2 * i + 1]) {
        line(
            text,
            "ymm" + i + " upper",
            hex(expected.ymm[2 * i + 1]) + "_" + hex(expected.ymm[2 * i]),
            hex(actual.ymm[2 * i + 1]) + "_" + hex(actual.ymm[2 * i]));
      }
    }
    if (expected.mxcsr != actual.mxcsr) {
      line(text, "mxcsr", hex(expected.mxcsr), hex(actual.mxcsr));
    }
    if (expected.controlWord() != actual.controlWord()) {
      line(text, "fcw", hex(expected.controlWord()), hex(actual.controlWord()));
    }
    if (expected.statusWord() != actual.statusWord()) {
      line(text, "fsw", hex(expected.statusWord()), hex(actual.statusWord()));
    }
    if (expected.tags() != actual.tags()) {
      line(text, "x87 tags", hex(expected.tags()), hex(actual.tags()));
    }
    for (int i = 0; i < 8; i++) {
      if (expected.significand(i) != actual.significand(i)
          || expected.exponent(i) != actual.exponent(i)) {
        line(
            text,
            "st" + i,
            "%04x_%016x".formatted(expected.exponent(i), expected.significand(i)),
            "%04x_%016x".formatted(actual.exponent(i), actual.significand(i)));
      }
    }
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      if (expected.memory(i) != actual.memory(i)) {
        line(text, "[memory+%03x]".formatted(i), hex(expected.memory(i)), hex(actual.memory(i)));
      }
    }
    return text.toString();
  }

  private static String memoryBefore(
      MachineState before, MachineState expected, MachineState actual) {
    var text = new StringBuilder();
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      if (expected.memory(i) != actual.memory(i)) {
        text.append("[memory+%03x]=%016x\n".formatted(i, before.memory(i)));
      }
    }
    return text.toString();
  }

  private static void line(StringBuilder text, String what, String expected, String actual) {
    text.append("  %s: host %s, engine %s\n".formatted(what, expected, actual));
  }

  private static String hex(long value) {
    return "%016x".formatted(value);
  }

  private static String flags(long flags) {
    var text = new StringBuilder();
    String names = "CF PF AF ZF SF DF OF";
    int[] bits = {Cpu.CF, Cpu.PF, Cpu.AF, Cpu.ZF, Cpu.SF, Cpu.DF, Cpu.OF};
    var each = names.split(" ", -1);
    for (int i = 0; i < bits.length; i++) {
      text.append((flags & bits[i]) != 0 ? each[i] : "--").append(' ');
    }
    return text.toString().trim();
  }

  static String bytes(byte[] code) {
    return HexFormat.ofDelimiter(" ").formatHex(code);
  }
}
