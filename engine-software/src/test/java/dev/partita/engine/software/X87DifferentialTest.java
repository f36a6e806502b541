package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.fail;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every x87 instruction against the host's processor, from random states: all results, flags, tags
/// and the stack are the same; of transcendental functions, the last bit may differ.
class X87DifferentialTest {
  /// Runs of each form; more with -Dpartita.differential.runs.
  private static final int RUNS = Integer.getInteger("partita.differential.runs", 600);

  private static final int SHOWN = 4;

  /// An instruction form.
  ///
  /// @param name for the report
  /// @param first first opcode byte
  /// @param second the second byte with mod = 3; or the opcode extension of a memory form
  /// @param size bytes of the memory operand, 0 for a register form
  /// @param tolerance largest difference of a result, in units of its last place
  record Form(String name, int first, int second, int size, int tolerance) {
    @Override
    public String toString() {
      return name;
    }
  }

  @BeforeEach
  void needsTheHost() {
    NativeProcessor.require();
  }

  static Stream<Form> forms() {
    var forms = new ArrayList<Form>();
    String[] arithmetic = {"FADD", "FMUL", "FCOM", "FCOMP", "FSUB", "FSUBR", "FDIV", "FDIVR"};
    for (int i = 0; i < 8; i++) {
      forms.add(new Form(arithmetic[i] + " m32", 0xD8, i, 4, 0));
      forms.add(new Form(arithmetic[i] + " m64", 0xDC, i, 8, 0));
      forms.add(new Form("FI" + arithmetic[i].substring(1) + " m32", 0xDA, i, 4, 0));
      forms.add(new Form("FI" + arithmetic[i].substring(1) + " m16", 0xDE, i, 2, 0));
      registers(forms, arithmetic[i] + " ST(0), ST(i)", 0xD8, 0xC0 + 8 * i);
      if (i != 2 && i != 3) {
        registers(forms, arithmetic[i] + " ST(i), ST(0) (or reversed)", 0xDC, 0xC0 + 8 * i);
        registers(forms, arithmetic[i] + "P ST(i), ST(0) (or reversed)", 0xDE, 0xC0 + 8 * i);
      }
    }
    forms.add(new Form("FCOM2", 0xDC, 0xD1, 0, 0));
    forms.add(new Form("FCOMP3", 0xDC, 0xDA, 0, 0));
    forms.add(new Form("FCOMP5", 0xDE, 0xD1, 0, 0));
    forms.add(new Form("FCOMPP", 0xDE, 0xD9, 0, 0));
    forms.add(new Form("FUCOMPP", 0xDA, 0xE9, 0, 0));
    registers(forms, "FUCOM", 0xDD, 0xE0);
    registers(forms, "FUCOMP", 0xDD, 0xE8);
    registers(forms, "FUCOMI", 0xDB, 0xE8);
    registers(forms, "FCOMI", 0xDB, 0xF0);
    registers(forms, "FUCOMIP", 0xDF, 0xE8);
    registers(forms, "FCOMIP", 0xDF, 0xF0);
    for (int i = 0; i < 4; i++) {
      registers(forms, "FCMOVcc " + i, 0xDA, 0xC0 + 8 * i);
      registers(forms, "FCMOVNcc " + i, 0xDB, 0xC0 + 8 * i);
    }
    registers(forms, "FLD ST(i)", 0xD9, 0xC0);
    registers(forms, "FXCH", 0xD9, 0xC8);
    registers(forms, "FSTP1", 0xD9, 0xD8);
    registers(forms, "FFREE", 0xDD, 0xC0);
    registers(forms, "FXCH4", 0xDD, 0xC8);
    registers(forms, "FST ST(i)", 0xDD, 0xD0);
    registers(forms, "FSTP ST(i)", 0xDD, 0xD8);
    registers(forms, "FFREEP", 0xDF, 0xC0);
    registers(forms, "FXCH7", 0xDF, 0xC8);
    registers(forms, "FSTP8", 0xDF, 0xD0);
    registers(forms, "FSTP9", 0xDF, 0xD8);
    one(forms, "FNOP", 0xD0, 0);
    one(forms, "FCHS", 0xE0, 0);
    one(forms, "FABS", 0xE1, 0);
    one(forms, "FTST", 0xE4, 0);
    one(forms, "FXAM", 0xE5, 0);
    one(forms, "FLD1", 0xE8, 0);
    one(forms, "FLDL2T", 0xE9, 0);
    one(forms, "FLDL2E", 0xEA, 0);
    one(forms, "FLDPI", 0xEB, 0);
    one(forms, "FLDLG2", 0xEC, 0);
    one(forms, "FLDLN2", 0xED, 0);
    one(forms, "FLDZ", 0xEE, 0);
    one(forms, "F2XM1", 0xF0, 1);
    one(forms, "FYL2X", 0xF1, 1);
    one(forms, "FPTAN", 0xF2, 1);
    one(forms, "FPATAN", 0xF3, 1);
    one(forms, "FXTRACT", 0xF4, 0);
    one(forms, "FPREM1", 0xF5, 0);
    one(forms, "FDECSTP", 0xF6, 0);
    one(forms, "FINCSTP", 0xF7, 0);
    one(forms, "FPREM", 0xF8, 0);
    one(forms, "FYL2XP1", 0xF9, 1);
    one(forms, "FSQRT", 0xFA, 0);
    one(forms, "FSINCOS", 0xFB, 1);
    one(forms, "FRNDINT", 0xFC, 0);
    one(forms, "FSCALE", 0xFD, 0);
    one(forms, "FSIN", 0xFE, 1);
    one(forms, "FCOS", 0xFF, 1);
    forms.add(new Form("FENI", 0xDB, 0xE0, 0, 0));
    forms.add(new Form("FDISI", 0xDB, 0xE1, 0, 0));
    forms.add(new Form("FNCLEX", 0xDB, 0xE2, 0, 0));
    forms.add(new Form("FNINIT", 0xDB, 0xE3, 0, 0));
    forms.add(new Form("FSETPM", 0xDB, 0xE4, 0, 0));
    forms.add(new Form("FNSTSW AX", 0xDF, 0xE0, 0, 0));
    forms.add(new Form("FLD m32", 0xD9, 0, 4, 0));
    forms.add(new Form("FST m32", 0xD9, 2, 4, 0));
    forms.add(new Form("FSTP m32", 0xD9, 3, 4, 0));
    forms.add(new Form("FNSTENV", 0xD9, 6, 28, 0));
    forms.add(new Form("FNSTCW", 0xD9, 7, 2, 0));
    forms.add(new Form("FILD m32", 0xDB, 0, 4, 0));
    forms.add(new Form("FISTTP m32", 0xDB, 1, 4, 0));
    forms.add(new Form("FIST m32", 0xDB, 2, 4, 0));
    forms.add(new Form("FISTP m32", 0xDB, 3, 4, 0));
    forms.add(new Form("FLD m80", 0xDB, 5, 10, 0));
    forms.add(new Form("FSTP m80", 0xDB, 7, 10, 0));
    forms.add(new Form("FLD m64", 0xDD, 0, 8, 0));
    forms.add(new Form("FISTTP m64", 0xDD, 1, 8, 0));
    forms.add(new Form("FST m64", 0xDD, 2, 8, 0));
    forms.add(new Form("FSTP m64", 0xDD, 3, 8, 0));
    forms.add(new Form("FNSAVE", 0xDD, 6, 108, 0));
    forms.add(new Form("FNSTSW m16", 0xDD, 7, 2, 0));
    forms.add(new Form("FILD m16", 0xDF, 0, 2, 0));
    forms.add(new Form("FISTTP m16", 0xDF, 1, 2, 0));
    forms.add(new Form("FIST m16", 0xDF, 2, 2, 0));
    forms.add(new Form("FISTP m16", 0xDF, 3, 2, 0));
    forms.add(new Form("FBLD", 0xDF, 4, 10, 0));
    forms.add(new Form("FILD m64", 0xDF, 5, 8, 0));
    forms.add(new Form("FBSTP", 0xDF, 6, 10, 0));
    forms.add(new Form("FISTP m64", 0xDF, 7, 8, 0));
    return forms.stream();
  }

  private static void one(List<Form> forms, String name, int second, int tolerance) {
    forms.add(new Form(name, 0xD9, second, 0, tolerance));
  }

  private static void registers(List<Form> forms, String name, int first, int second) {
    forms.add(new Form(name + " i=0", first, second, 0, 0));
    forms.add(new Form(name + " i=1", first, second + 1, 0, 0));
    forms.add(new Form(name + " i=5", first, second + 5, 0, 0));
  }

  @ParameterizedTest
  @MethodSource("forms")
  void agreesWithTheHostWhenMasked(Form form) {
    check(form, false);
  }

  @ParameterizedTest
  @MethodSource("forms")
  void agreesWithTheHostWhenUnmasked(Form form) {
    check(form, true);
  }

  private static void check(Form form, boolean unmasked) {
    var random = new Random(form.first << 8 | form.second);
    var instructions = new InstructionForms(random);
    var differences = new ArrayList<String>();
    int different = 0;
    for (int i = 0; i < RUNS; i++) {
      var before = X87States.random(random, unmasked);
      byte[] code;
      if (form.size == 0) {
        code = new byte[] {(byte) form.first, (byte) form.second};
      } else {
        long address = MachineState.MEMORY + 0x200 + random.nextInt(0x400);
        operand(random, before, (int) (address - MachineState.MEMORY), form);
        code =
            instructions.memoryAt(
                before, address, "", "%02X".formatted(form.first), false, form.second);
      }
      String difference = run(form, code, before);
      if (!difference.isEmpty() && different++ < SHOWN) {
        differences.add(
            "%s\n%sbefore:\n%s".formatted(Differential.bytes(code), difference, before));
      }
    }
    if (different != 0) {
      fail(
          "%s: %d of %d runs differ from the host\n%s"
              .formatted(form.name, different, RUNS, String.join("\n", differences)));
    }
  }

  /// Now and then a packed decimal or an extended value where random bytes are rarely one.
  private static void operand(Random random, MachineState s, int offset, Form form) {
    if (form.size == 8 && random.nextInt(3) == 0) {
      s.setMemory(offset, Double.doubleToRawLongBits(random.nextGaussian()));
    }
    if (form.size == 4 && random.nextInt(3) == 0) {
      s.setMemory(offset, Float.floatToRawIntBits((float) random.nextGaussian()));
    }
    if (form.first == 0xDF && form.second == 4) {
      for (int i = 0; i < 9; i++) {
        s.memory[offset + i] = (byte) (random.nextInt(10) << 4 | random.nextInt(10));
      }
      s.memory[offset + 9] = (byte) (random.nextInt(2) << 7);
    }
  }

  private static String run(Form form, byte[] code, MachineState before) {
    var expected = NativeProcessor.run(code, before);
    MachineState actual;
    try {
      actual = EngineProcessor.run(code, before);
    } catch (AssertionError | RuntimeException e) {
      return "  " + e + "\n";
    }
    if (form.tolerance > 0) {
      allow(form.tolerance, expected, actual);
    }
    return Differential.difference(expected, actual, Differential.ALL_FLAGS)
        + pointers(expected, actual);
  }

  /// Takes a result that is close enough for equal; so is C1 then.
  private static void allow(int tolerance, MachineState expected, MachineState actual) {
    for (int i = 0; i < 8; i++) {
      // Neighbours, across a power of two as well.
      long difference = expected.significand(i) - actual.significand(i);
      difference += (long) (expected.exponent(i) - actual.exponent(i)) << 63;
      boolean near = Math.abs(expected.exponent(i) - actual.exponent(i)) <= 1;
      if (near && Math.abs(difference) <= tolerance) {
        actual.setRegister(i, expected.exponent(i), expected.significand(i));
        if ((expected.statusWord() & X87.PRECISION) != 0) {
          actual.setStatusWord(actual.statusWord() & ~X87.C1 | expected.statusWord() & X87.C1);
        }
      }
    }
  }

  private static String pointers(MachineState expected, MachineState actual) {
    var text = new StringBuilder();
    for (int i = 5; i < 24; i++) {
      if (expected.x87[i] != actual.x87[i]) {
        text.append(
            "  image byte %d: host %02x, engine %02x\n"
                .formatted(i, expected.x87[i], actual.x87[i]));
      }
    }
    return text.toString();
  }
}
