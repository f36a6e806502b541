package dev.partita.chipset.device;

import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;

/// How the real-time clock writes a time in its registers: binary or BCD, 12 or 24 hours
/// (MC146818A data sheet, "Time, Calendar, and Alarm Locations").
///
/// @param binary register B's DM bit
/// @param hours24 register B's 24/12 bit
record RtcFormat(boolean binary, boolean hours24) {
  static final int SECONDS = 0x00;
  static final int SECONDS_ALARM = 0x01;
  static final int MINUTES = 0x02;
  static final int MINUTES_ALARM = 0x03;
  static final int HOURS = 0x04;
  static final int HOURS_ALARM = 0x05;
  static final int DAY_OF_WEEK = 0x06;
  static final int DAY = 0x07;
  static final int MONTH = 0x08;
  static final int YEAR = 0x09;

  /// Not of the MC146818: PCs keep the century here, and FADT says so.
  static final int CENTURY = 0x32;

  /// No time.
  static final long NEVER = Long.MAX_VALUE;

  private static final int PM = 0x80;

  /// Year 0, the first that the registers can hold.
  private static final long FIRST_SECOND = LocalDate.of(0, 1, 1).toEpochDay() * 86_400L;

  private static final long SECONDS_IN_RANGE =
      LocalDate.of(10_000, 1, 1).toEpochDay() * 86_400L - FIRST_SECOND;

  static boolean isTime(int register) {
    return switch (register) {
      case SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY, MONTH, YEAR, CENTURY -> true;
      default -> false;
    };
  }

  int encode(int value) {
    return binary ? value : value / 10 << 4 | value % 10;
  }

  private int decode(int register) {
    return binary ? register : (register >> 4) * 10 + (register & 0xF);
  }

  int encodeHour(int hour) {
    if (hours24) {
      return encode(hour);
    }
    int half = hour % 12 == 0 ? 12 : hour % 12;
    return encode(half) | (hour >= 12 ? PM : 0);
  }

  private int decodeHour(int register) {
    if (hours24) {
      return decode(register);
    }
    return decode(register & ~PM) % 12 + ((register & PM) != 0 ? 12 : 0);
  }

  /// Writes a time into the registers.
  ///
  /// @param second since 1970; the registers' 10,000 years wrap around
  void write(long second, int dayShift, byte[] memory) {
    long wrapped = Math.floorMod(second - FIRST_SECOND, SECONDS_IN_RANGE) + FIRST_SECOND;
    var time = LocalDateTime.ofEpochSecond(wrapped, 0, ZoneOffset.UTC);
    // The register counts from Sunday, 1.
    int dayOfWeek = (time.getDayOfWeek().getValue() + dayShift) % 7 + 1;
    memory[SECONDS] = (byte) encode(time.getSecond());
    memory[MINUTES] = (byte) encode(time.getMinute());
    memory[HOURS] = (byte) encodeHour(time.getHour());
    memory[DAY_OF_WEEK] = (byte) encode(dayOfWeek);
    memory[DAY] = (byte) encode(time.getDayOfMonth());
    memory[MONTH] = (byte) encode(time.getMonthValue());
    memory[YEAR] = (byte) encode(time.getYear() % 100);
    memory[CENTURY] = (byte) encode(time.getYear() / 100);
  }

  /// The time in the registers, in seconds since 1970. Impossible values are carried over, as the
  /// 31st of February into March.
  long read(byte[] memory) {
    int year = Math.min(field(memory, CENTURY) * 100 + field(memory, YEAR), 9999);
    var date =
        LocalDate.of(year, 1, 1)
            .plusMonths(Math.max(0, field(memory, MONTH) - 1))
            .plusDays(Math.max(0, field(memory, DAY) - 1));
    return date.toEpochDay() * 86_400L
        + decodeHour(memory[HOURS] & 0xFF) * 3600L
        + field(memory, MINUTES) * 60L
        + field(memory, SECONDS);
  }

  /// What to add to the day of the week that the date in the registers has.
  int dayShift(byte[] memory) {
    long day = Math.floorDiv(read(memory), 86_400L);
    int trueDay = LocalDate.ofEpochDay(day).getDayOfWeek().getValue() % 7;
    return Math.floorMod(field(memory, DAY_OF_WEEK) - 1 - trueDay, 7);
  }

  private int field(byte[] memory, int register) {
    return decode(memory[register] & 0xFF);
  }

  /// The first second after another that fits the alarm registers, or {@link #NEVER}.
  long nextAlarm(long after, byte[] memory) {
    int second = alarm(memory[SECONDS_ALARM] & 0xFF, 60, false);
    int minute = alarm(memory[MINUTES_ALARM] & 0xFF, 60, false);
    int hour = alarm(memory[HOURS_ALARM] & 0xFF, 24, true);
    if (second == IMPOSSIBLE || minute == IMPOSSIBLE || hour == IMPOSSIBLE) {
      return NEVER;
    }
    long at = after + 1;
    while (true) {
      long inDay = Math.floorMod(at, 86_400L);
      if (hour != ANY && inDay / 3600 != hour) {
        at += 3600 - inDay % 3600;
      } else if (minute != ANY && inDay / 60 % 60 != minute) {
        at += 60 - inDay % 60;
      } else if (second != ANY && inDay % 60 != second) {
        at++;
      } else {
        return at;
      }
    }
  }

  private static final int ANY = -1;
  private static final int IMPOSSIBLE = -2;

  /// The value an alarm register stands for. The two highest bits set mean "don't care".
  private int alarm(int register, int range, boolean hours) {
    if ((register & 0xC0) == 0xC0) {
      return ANY;
    }
    for (int value = 0; value < range; value++) {
      if ((hours ? encodeHour(value) : encode(value)) == register) {
        return value;
      }
    }
    return IMPOSSIBLE;
  }
}
