package dev.partita.image;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Gives a guest a script in place of the shell: its RAM disk runs the script with `sh` on the
/// console, prints a line that tells the exit status, and powers off.
public final class GuestScript {
  /// Linux for x86 keeps 2,048 bytes of command line with the zero at its end (COMMAND_LINE_SIZE,
  /// Linux: Documentation/admin-guide/kernel-parameters.rst).
  private static final int MAXIMUM_COMMAND_LINE = 2047;

  private static final String PARAMETER = "partita.script=";
  private static final Pattern EXIT =
      Pattern.compile("^partita: script exit (\\d{1,3})\\r?$", Pattern.MULTILINE);

  private GuestScript() {}

  /// Adds the script to a kernel command line.
  ///
  /// @param script the script's text; as UTF-8 and base64 it has about 1,500 bytes at most
  /// @throws ImageException when the line becomes longer than the kernel takes
  public static String onCommandLine(String commandLine, String script) throws ImageException {
    String encoded = Base64.getEncoder().encodeToString(script.getBytes(StandardCharsets.UTF_8));
    String line = (commandLine + " " + PARAMETER + encoded).strip();
    if (line.length() > MAXIMUM_COMMAND_LINE) {
      throw new ImageException(
          "the script is too long for the kernel command line: %d bytes with it, %d at most"
              .formatted(line.length(), MAXIMUM_COMMAND_LINE));
    }
    return line;
  }

  /// Finds how the script ended in what the console printed.
  ///
  /// @return the exit status, 0 to 255 as wait(2) has it; empty when the script did not end
  public static OptionalInt exitStatus(String console) {
    Matcher matcher = EXIT.matcher(console);
    OptionalInt status = OptionalInt.empty();
    while (matcher.find()) {
      status = OptionalInt.of(Integer.parseInt(matcher.group(1)));
    }
    return status;
  }
}
