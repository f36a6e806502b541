package dev.partita.image.debian;

import dev.partita.image.RamDisk;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

/// What a cached guest was made from: the file `manifest` beside its kernel and its RAM disk.
///
/// @param recipe the digest of how RAM disks were made then
/// @param kernelRelease the kernel's release as `uname -r` prints it
/// @param kernelBytes size of the kernel
/// @param initrdBytes size of the RAM disk
/// @param packages the packages it was made from; their dependencies are not kept
record Manifest(
    String recipe,
    String kernelRelease,
    long kernelBytes,
    long initrdBytes,
    List<PackageRecord> packages) {

  static final String FILE = "manifest";

  /// The digest of how this version of the project makes RAM disks.
  static String currentRecipe() {
    return HexFormat.of().formatHex(sha256().digest(bytes(RamDisk.recipe()))).substring(0, 12);
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /// The name of the directory that holds it: the same for the same packages and recipe.
  String key() {
    return key(packages, recipe);
  }

  static String key(List<PackageRecord> packages, String recipe) {
    MessageDigest digest = sha256();
    for (PackageRecord p : packages) {
      digest.update(bytes("%s %s %s\n".formatted(p.name(), p.version(), p.sha256())));
    }
    digest.update(bytes(recipe));
    PackageRecord kernel = packages.getFirst();
    String version = kernel.version().replaceAll("[^A-Za-z0-9.+-]", "_");
    return version + "-" + HexFormat.of().formatHex(digest.digest()).substring(0, 12);
  }

  void write(Path directory) throws IOException {
    StringBuilder text = new StringBuilder();
    text.append("recipe=").append(recipe).append('\n');
    text.append("kernelRelease=").append(kernelRelease).append('\n');
    text.append("kernelBytes=").append(kernelBytes).append('\n');
    text.append("initrdBytes=").append(initrdBytes).append('\n');
    for (int i = 0; i < packages.size(); i++) {
      PackageRecord p = packages.get(i);
      text.append(
          "package.%d=%s %s %d %s\n".formatted(i, p.name(), p.version(), p.size(), p.sha256()));
    }
    Files.writeString(directory.resolve(FILE), text);
  }

  /// Reads the manifest of a directory; empty when there is none that can be understood.
  static Optional<Manifest> read(Path directory) {
    try {
      Properties fields = new Properties();
      fields.load(new StringReader(Files.readString(directory.resolve(FILE))));
      List<PackageRecord> packages = new ArrayList<>();
      for (int i = 0; fields.getProperty("package." + i) != null; i++) {
        String[] parts = fields.getProperty("package." + i).split(" ", -1);
        if (parts.length != 4
            || !PackageRecord.isName(parts[0])
            || !PackageRecord.isVersion(parts[1])
            || !PackageRecord.isSize(parts[2])
            || !PackageRecord.isDigest(parts[3])) {
          return Optional.empty();
        }
        packages.add(
            new PackageRecord(parts[0], parts[1], Long.parseLong(parts[2]), parts[3], List.of()));
      }
      if (packages.isEmpty()) {
        return Optional.empty();
      }
      return Optional.of(
          new Manifest(
              fields.getProperty("recipe", ""),
              fields.getProperty("kernelRelease", ""),
              Long.parseLong(fields.getProperty("kernelBytes", "-1")),
              Long.parseLong(fields.getProperty("initrdBytes", "-1")),
              packages));
    } catch (IOException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
