package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class OddsTest {
  /// The tests of this module have the JDK's internals open, so that they run the code that tells.
  @Test
  void theCompilerCanBeTold() {
    assertThat(Odds.AVAILABLE).isTrue();
    assertThat(CompileRequest.AVAILABLE).isTrue();
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, EVEN",
    "1, 0, EVEN",
    "5, 5, EVEN",
    "10, 1, MORE",
    "1, 10, LESS",
    "99, 0, OFTEN",
    "0, 99, SELDOM",
    "1000, 100, MORE",
    "100, 1000, LESS"
  })
  void whatWasCountedGivesOddsThatAreNeverCertain(int taken, int not, Odds odds) {
    assertThat(Odds.of(taken, not)).isEqualTo(odds);
  }

  @ParameterizedTest
  @EnumSource
  void theOppositeOfTheOppositeIsTheSame(Odds odds) {
    assertThat(odds.negated().negated()).isEqualTo(odds);
    assertThat(odds.negated() == odds).isEqualTo(odds == Odds.EVEN);
  }
}
