package dev.partita.cli;

import java.time.Duration;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// Reads sizes and times as operators write them.
final class Quantities {
  private static final Pattern FORM = Pattern.compile("([0-9]{1,15})([A-Za-z]*)");

  private Quantities() {}

  /// Bytes: a number with K, M, G or T (powers of 1024; `MiB` and the like too); mebibytes without.
  static final class Memory implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      var match = FORM.matcher(text);
      if (match.matches()) {
        int shift =
            switch (match.group(2).toLowerCase(java.util.Locale.ROOT)) {
              case "k", "kb", "kib" -> 10;
              case "", "m", "mb", "mib" -> 20;
              case "g", "gb", "gib" -> 30;
              case "t", "tb", "tib" -> 40;
              default -> -1;
            };
        long number = Long.parseLong(match.group(1));
        if (shift > 0 && number <= Long.MAX_VALUE >> shift) {
          return number << shift;
        }
      }
      throw new TypeConversionException("'" + text + "' is not a size such as 512M or 2G");
    }
  }

  /// A time: a number with `ms`, `s`, `m` or `h`; seconds without.
  static final class Time implements ITypeConverter<Duration> {
    @Override
    public Duration convert(String text) {
      var match = FORM.matcher(text);
      if (match.matches()) {
        long number = Long.parseLong(match.group(1));
        if (number > 0 && number <= Integer.MAX_VALUE) {
          switch (match.group(2)) {
            case "ms" -> {
              return Duration.ofMillis(number);
            }
            case "", "s" -> {
              return Duration.ofSeconds(number);
            }
            case "m" -> {
              return Duration.ofMinutes(number);
            }
            case "h" -> {
              return Duration.ofHours(number);
            }
            default -> {
              // Falls out to the complaint.
            }
          }
        }
      }
      throw new TypeConversionException("'" + text + "' is not a time such as 30s, 5m or 1h");
    }
  }
}
