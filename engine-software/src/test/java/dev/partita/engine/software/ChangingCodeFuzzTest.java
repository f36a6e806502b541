package dev.partita.engine.software;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

/// Programs that change their own code: the host's processor, an interpreter that decodes each
/// instruction anew, and the processor's own loop on the tier under test must agree.
class ChangingCodeFuzzTest {
  private static final int PROGRAMS = Integer.getInteger("partita.programs", 250);

  /// Enough that the mixed tier of the tests translates it.
  private static final int MANY = 150;

  private static final EngineProcessor ENGINE = new EngineProcessor();

  /// Bytes as a source of decisions; zero when there are no more.
  private record Bytes(byte[] input, int[] at) implements RandomGenerator {
    @Override
    public int nextInt(int bound) {
      int value = 0;
      for (int reach = 1; reach < bound; reach <<= 8) {
        value = value << 8 | (at[0] < input.length ? input[at[0]++] & 0xFF : 0);
      }
      return Integer.remainderUnsigned(value, bound);
    }

    @Override
    public boolean nextBoolean() {
      return nextInt(2) != 0;
    }

    @Override
    public long nextLong() {
      long value = 0;
      for (int i = 0; i < 8; i++) {
        value = value << 8 | nextInt(256);
      }
      return value;
    }
  }

  @FuzzTest
  void fuzz(byte[] input) {
    var state = MachineState.random(new SplittableRandom(input.length));
    agree(ChangingCode.program(new Bytes(input, new int[1]), state, MANY), state);
  }

  @Test
  void randomProgramsAgree() {
    var random = new SplittableRandom(Long.getLong("partita.seed", 7));
    for (int n = 0; n < PROGRAMS; n++) {
      var state = MachineState.random(random);
      agree(ChangingCode.program(random, state, n % 8 == 0 ? MANY : 6), state);
    }
  }

  private static void agree(byte[] code, MachineState state) {
    NativeProcessor.require();
    var expected = NativeProcessor.run(code, state);
    synchronized (ENGINE) {
      check(code, state, expected, "interpreter", ENGINE.interpretOnce(code, state));
      check(code, state, expected, Translator.TIER.toString(), ENGINE.runInLoop(code, state));
    }
  }

  private static void check(
      byte[] code, MachineState before, MachineState expected, String tier, MachineState actual) {
    var difference = Differential.difference(expected, actual, Differential.ALL_FLAGS);
    if (!difference.isEmpty()) {
      throw new AssertionError(
          "%s: the %s differs from the host\n%s\nbefore:\n%s"
              .formatted(Differential.bytes(code), tier, difference, before));
    }
  }
}
