package dev.partita.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class QuantitiesTest {
  @ParameterizedTest
  @CsvSource({
    "512M,536870912",
    "512,536870912",
    "2G,2147483648",
    "2gib,2147483648",
    "64k,65536",
    "1T,1099511627776",
    "0,0"
  })
  void sizes(String text, long bytes) {
    assertThat(new Quantities.Memory().convert(text)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "M", "-1", "1.5G", "1X", "9999999999T", "99999999999999999999", "1 G"})
  void sizesThatAreNone(String text) {
    assertThatThrownBy(() -> new Quantities.Memory().convert(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("is not a size");
  }

  @ParameterizedTest
  @CsvSource({"30,PT30S", "30s,PT30S", "250ms,PT0.25S", "5m,PT5M", "1h,PT1H"})
  void times(String text, Duration time) {
    assertThat(new Quantities.Time().convert(text)).isEqualTo(time);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "s", "-1s", "0", "1d", "1.5s", "99999999999s"})
  void timesThatAreNone(String text) {
    assertThatThrownBy(() -> new Quantities.Time().convert(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("is not a time");
  }
}
