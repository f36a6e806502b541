package dev.partita.image;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Disks;
import dev.partita.image.filesystem.FatWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// What cloud-init in a guest is told by a disk with the label `CIDATA` (cloud-init: "NoCloud"):
/// its name, and a user that may become root.
///
/// @param user the user's name
/// @param password null for none: the console asks for none then
/// @param keys lines of the user's authorized_keys file
/// @param hostname the guest's name
public record CloudSeed(
    String user, @Nullable String password, List<String> keys, String hostname) {

  /// Makes the disk.
  ///
  /// @param output the file to be, whose name tells the format
  /// @param replace whether a file of that name may be replaced
  public void write(Path output, boolean replace) throws IOException {
    // The same words are allowed as for a disk of our own.
    new DebianDiskRequest(
            "12", List.of(), DebianDiskRequest.SMALLEST, user, password, keys, hostname, null)
        .check();
    DiskFormat format = Disks.formatOf(output);
    if (!replace && Files.exists(output)) {
      throw new ImageException(output + " is there already; --force replaces it");
    }
    Path partial =
        output.resolveSibling(
            ".%s.%d.partial".formatted(output.getFileName(), ProcessHandle.current().pid()));
    Files.deleteIfExists(partial);
    try {
      Disks.create(
          partial,
          CreateOptions.of(
              format,
              format == DiskFormat.RAW ? DiskType.FIXED : DiskType.DYNAMIC,
              FatWriter.SIZE));
      try (var disk = Disks.open(partial, format, true)) {
        FatWriter.write(disk, UUID.randomUUID().hashCode(), "CIDATA", files());
      }
      Files.move(
          partial,
          output,
          java.nio.file.StandardCopyOption.ATOMIC_MOVE,
          java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  /// Strings are written as JSON has them, which is YAML too.
  Map<String, byte[]> files() {
    StringBuilder data = new StringBuilder("#cloud-config\n");
    data.append("hostname: %s\n".formatted(quoted(hostname)));
    data.append("users:\n  - name: %s\n".formatted(quoted(user)));
    if (!user.equals("root")) {
      data.append("    shell: /bin/bash\n    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n");
    }
    data.append("    lock_passwd: false\n");
    if (!keys.isEmpty()) {
      data.append("    ssh_authorized_keys:\n");
      keys.forEach(key -> data.append("      - %s\n".formatted(quoted(key))));
    }
    data.append(user.equals("root") ? "disable_root: false\n" : "").append("ssh_pwauth: false\n");
    if (password == null) {
      data.append("runcmd:\n  - [passwd, --delete, %s]\n".formatted(quoted(user)));
    } else {
      // In clear: whoever reads the seed could log in through it anyway. Not to be changed at
      // login.
      data.append(
          "chpasswd:\n  expire: false\n  list:\n    - %s\n"
              .formatted(quoted(user + ":" + password)));
    }
    Map<String, byte[]> files = new LinkedHashMap<>();
    files.put("user-data", data.toString().getBytes(StandardCharsets.UTF_8));
    // A new id: cloud-init takes the guest for a new one, and applies all of it once.
    files.put(
        "meta-data",
        "instance-id: \"%s\"\nlocal-hostname: %s\n"
            .formatted(UUID.randomUUID(), quoted(hostname))
            .getBytes(StandardCharsets.UTF_8));
    return files;
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
