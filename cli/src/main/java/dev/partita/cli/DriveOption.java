package dev.partita.cli;

import dev.partita.disk.DiskFormat;
import dev.partita.worker.DriveSettings;
import dev.partita.worker.DriveSettings.Kind;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// Reads drives as operators write them: a file, and options after commas. A comma that is part of
/// the file's name is written twice.
final class DriveOption {
  private DriveOption() {}

  /// `FILE[,readonly][,format=FORMAT][,lun=NUMBER]`.
  static final class Disk implements ITypeConverter<DriveSettings> {
    @Override
    public DriveSettings convert(String text) {
      return parse(Kind.DISK, text);
    }
  }

  /// `FILE[,lun=NUMBER]`, with `none` for no medium.
  static final class Dvd implements ITypeConverter<DriveSettings> {
    @Override
    public DriveSettings convert(String text) {
      return parse(Kind.DVD, text);
    }
  }

  private static DriveSettings parse(Kind kind, String text) {
    // A comma that stands for itself has another beside it.
    var parts = List.of(text.replace(",,", "\0").split(",", -1));
    var name = parts.getFirst().replace('\0', ',');
    boolean readOnly = kind == Kind.DVD;
    DiskFormat format = null;
    Integer lun = null;
    for (var option : parts.subList(1, parts.size())) {
      var words = option.split("=", 2);
      var value = words.length == 2 ? words[1] : "";
      if (option.equals("readonly") && kind == Kind.DISK) {
        readOnly = true;
      } else if (words[0].equals("format") && kind == Kind.DISK) {
        format = format(value);
      } else if (words[0].equals("lun") && value.matches("[0-9]{1,2}")) {
        lun = Integer.valueOf(value);
      } else {
        throw new TypeConversionException(
            "'%s' is not %s (a comma in a file's name is written twice)"
                .formatted(
                    option.replace('\0', ','),
                    kind == Kind.DISK ? "readonly, format=FORMAT or lun=NUMBER" : "lun=NUMBER"));
      }
    }
    if (name.isEmpty()) {
      throw new TypeConversionException("there is no file in '" + text + "'");
    }
    try {
      var file = kind == Kind.DVD && name.equals("none") ? null : Path.of(name);
      return new DriveSettings(kind, file, format, readOnly, lun);
    } catch (InvalidPathException e) {
      throw new TypeConversionException("'" + name + "' is not a file's name");
    }
  }

  private static DiskFormat format(String name) {
    return Arrays.stream(DiskFormat.values())
        .filter(each -> each.label().equals(name.toLowerCase(Locale.ROOT)))
        .findFirst()
        .orElseThrow(
            () ->
                new TypeConversionException(
                    "format '%s' is not %s"
                        .formatted(
                            name,
                            Arrays.stream(DiskFormat.values())
                                .map(DiskFormat::label)
                                .collect(Collectors.joining(", ")))));
  }
}
