package dev.partita.benchmarks;

import dev.partita.image.GuestFiles;
import dev.partita.image.GuestScript;
import dev.partita.image.ImageException;
import dev.partita.image.Images;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/// The small programs of `cpu.c` in a guest: a Debian kernel and a RAM disk with them, in a folder
/// that is deleted on closing. Needs gcc.
final class CpuPrograms implements AutoCloseable {
  private static final String PROGRAM = "bench-cpu";

  private static final Pattern RESULT =
      Pattern.compile("cpu ([a-z0-9]+) ([0-9a-f]{16}) ([0-9.]+)\\s*");

  private final Path folder;
  private final GuestFiles files;
  private final Path initrd;

  /// What a program printed.
  ///
  /// @param rate rounds a second
  record Result(String checksum, double rate) {}

  CpuPrograms() throws IOException, InterruptedException {
    files = Images.debian(Images.defaultCache(), (stage, done, _) -> {});
    folder = Files.createTempDirectory("partita-cpu");
    initrd = folder.resolve("initrd.img");
    try {
      Files.write(initrd, withProgram(Files.readAllBytes(files.initrd()), compile(folder)));
    } catch (IOException | InterruptedException | RuntimeException e) {
      close();
      throw e;
    }
  }

  /// Kernel and RAM disk, as a line.
  String description() {
    return files.description();
  }

  /// A guest that runs programs one after the other and powers off.
  ///
  /// @param memory MiB
  /// @param processes of each program, at once
  /// @param seconds a program's rounds take at least so long
  /// @param programs their names; none: all
  SideBySide.Guest guest(
      int memory, int processors, int processes, double seconds, List<String> programs)
      throws ImageException {
    var arguments = new ArrayList<>(List.of("/" + PROGRAM));
    if (processes > 1) {
      arguments.add("-j" + processes);
    }
    arguments.add(Double.toString(seconds));
    arguments.addAll(programs);
    var commandLine =
        GuestScript.onCommandLine(
            files.commandLine() + SideBySide.COMMON_PARAMETERS, String.join(" ", arguments));
    return new SideBySide.Guest(files.kernel(), initrd, commandLine, memory, processors);
  }

  /// Runs a guest.
  ///
  /// @param limit seconds
  /// @return by the program's name
  static Map<String, Result> run(List<String> command, int limit)
      throws IOException, InterruptedException {
    var output = SideBySide.run(command, limit);
    var results = new LinkedHashMap<String, Result>();
    for (var line : output.out().lines().toList()) {
      var match = RESULT.matcher(line);
      if (match.matches()) {
        results.put(match.group(1), new Result(match.group(2), Double.parseDouble(match.group(3))));
      }
    }
    if (output.exitCode() != 0 || results.isEmpty()) {
      throw new IOException(
          "%s: exit code %d; it says: %s"
              .formatted(command.getFirst(), output.exitCode(), output.errors().strip()));
    }
    return results;
  }

  private static byte[] compile(Path folder) throws IOException, InterruptedException {
    var source = folder.resolve("cpu.c");
    try (var resource = CpuPrograms.class.getResourceAsStream("cpu.c")) {
      if (resource == null) {
        throw new IOException("cpu.c is missing in this build");
      }
      Files.copy(resource, source);
    }
    var program = folder.resolve(PROGRAM);
    Process compiler;
    try {
      compiler =
          new ProcessBuilder(
                  "gcc",
                  "-O2",
                  "-w",
                  "-static",
                  "-march=x86-64-v2",
                  "-o",
                  program.toString(),
                  source.toString())
              .redirectErrorStream(true)
              .start();
    } catch (IOException e) {
      throw new IOException(
          "gcc is missing: install it (as root: apt-get install gcc libc6-dev)", e);
    }
    var output = SideBySide.text(compiler.getInputStream());
    if (compiler.waitFor() != 0) {
      throw new IOException("cannot compile the programs: " + output.strip());
    }
    return Files.readAllBytes(program);
  }

  /// Appends a cpio archive of one file to a RAM disk: the kernel unpacks one after the other.
  ///
  /// Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
  private static byte[] withProgram(byte[] initrd, byte[] program) {
    var out = new ByteArrayOutputStream(initrd.length + program.length + 4096);
    out.writeBytes(initrd);
    pad(out);
    entry(out, PROGRAM, 0100755, program);
    entry(out, "TRAILER!!!", 0, new byte[0]);
    return out.toByteArray();
  }

  private static void entry(ByteArrayOutputStream out, String name, int mode, byte[] content) {
    var header = new StringBuilder("070701");
    // Inode, mode, owner, group, links, time, size, device, special device, name, checksum.
    int[] fields = {
      0x7000_0000, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length() + 1, 0
    };
    for (int field : fields) {
      header.append("%08x".formatted(field));
    }
    header.append(name).append('\0');
    out.writeBytes(header.toString().getBytes(StandardCharsets.US_ASCII));
    pad(out);
    out.writeBytes(content);
    pad(out);
  }

  private static void pad(ByteArrayOutputStream out) {
    while (out.size() % 4 != 0) {
      out.write(0);
    }
  }

  @Override
  public void close() throws IOException {
    try (var paths = Files.walk(folder)) {
      for (var path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
