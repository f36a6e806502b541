package dev.partita.image.debian;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// What this machine gives the making of a disk: programs, keys, and the right to change root.
///
/// @param commands its programs
/// @param mode how the installation can run
/// @param keyring Debian's archive keys
record Host(Commands commands, Mode mode, Path keyring) {
  /// How the installation runs.
  enum Mode {
    /// As the superuser, with name spaces of its own.
    ROOT,
    /// As the superuser of a container that may make no name spaces.
    BARE,
    /// As an ordinary user, in a user name space.
    USER
  }

  private static final List<String> KEYRINGS =
      List.of(
          "/usr/share/keyrings/debian-archive-keyring.gpg",
          "/usr/share/keyrings/debian-archive-keyring.pgp");

  private static final String KEYRING_PACKAGE = "debian-archive-keyring";
  private static final long ROOM = 3L << 30;

  /// Looks what is there; gets what is missing where it can.
  ///
  /// @param directory what is fetched goes below it
  /// @throws ImageException when a disk cannot be made here; its message says what to do
  static Host check(Path directory, Progress progress) throws IOException {
    Commands commands = new HostCommands();
    for (String program : List.of("apt-get", "dpkg-deb", "tar", "unshare", "setpriv", "chroot")) {
      if (!commands.has(program)
          && !Files.isExecutable(Path.of("/usr/sbin", program))) { // not on every user's path
        throw new ImageException(
            "making a Debian disk needs %s, as every Debian and Ubuntu has it; this machine has none"
                .formatted(program));
      }
    }
    Files.createDirectories(directory);
    long room = Files.getFileStore(directory).getUsableSpace();
    if (room < ROOM) {
      throw new ImageException(
          "making a Debian disk needs 3 GiB in %s, where %d MiB are free (PARTITA_CACHE can name another directory)"
              .formatted(directory, room >> 20));
    }
    boolean root = isSuperuser();
    return new Host(
        commands, mode(commands, directory, root), keyring(commands, directory, root, progress));
  }

  private static Mode mode(Commands commands, Path directory, boolean root) throws IOException {
    Mode mode = root ? Mode.ROOT : Mode.USER;
    List<String> trial = new ArrayList<>(spaces(mode));
    trial.addAll(List.of("sh", "-c", "mount -t tmpfs none \"$0\"", directory.toString()));
    Commands.Result result = commands.run(trial, directory, () -> {});
    if (result.exit() == 0) {
      return mode;
    }
    if (root) {
      return Mode.BARE;
    }
    throw new ImageException(
        "this machine lets only root make a Debian disk, since it keeps user name spaces from others (%s)."
                .formatted(result.err().strip().replace('\n', ' '))
            + " Either: sudo ./partita image build debian -o FILE. Or allow them: sudo sysctl -w "
            + (Files.exists(Path.of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"))
                ? "kernel.apparmor_restrict_unprivileged_userns=0"
                : Files.exists(Path.of("/proc/sys/kernel/unprivileged_userns_clone"))
                    ? "kernel.unprivileged_userns_clone=1"
                    : "user.max_user_namespaces=15000"));
  }

  private static List<String> spaces(Mode mode) {
    List<String> unshare =
        List.of("unshare", "--mount", "--pid", "--fork", "--ipc", "--kill-child");
    List<String> command = new ArrayList<>();
    switch (mode) {
      case ROOT -> command.addAll(unshare);
      case USER -> {
        command.addAll(unshare);
        command.addAll(List.of("--user", "--map-root-user"));
      }
      case BARE -> {}
    }
    return command;
  }

  /// The command that runs a script of the installation, and ends when this process is killed.
  List<String> command(Path script) {
    List<String> command = new ArrayList<>(List.of("setpriv", "--pdeathsig", "KILL", "--"));
    command.addAll(spaces(mode));
    command.addAll(List.of("sh", script.toString()));
    return command;
  }

  private static Path keyring(Commands commands, Path directory, boolean root, Progress progress)
      throws IOException {
    Path own = directory.resolve("keyring");
    for (String folder : List.of("/", own.toString())) {
      Optional<Path> found = keyringBelow(Path.of(folder));
      if (found.isPresent()) {
        return found.get();
      }
    }
    // Ubuntu offers Debian's keys in a package, signed by Ubuntu: no root needed to read it.
    progress.update("Fetching Debian's archive keys", 0, 0);
    Path download = directory.resolve("keyring-download");
    Trees.delete(download);
    Files.createDirectories(download);
    Commands.Result result =
        commands.run(List.of("apt-get", "-q", "download", KEYRING_PACKAGE), download, () -> {});
    if (result.exit() == 0) {
      try (Stream<Path> files = Files.list(download)) {
        Optional<Path> file = files.filter(f -> f.toString().endsWith(".deb")).findFirst();
        if (file.isPresent()) {
          Trees.delete(own);
          commands.run(
              List.of("dpkg-deb", "--extract", file.get().toString(), own.toString()),
              directory,
              () -> {});
        }
      }
      Trees.delete(download);
      Optional<Path> found = keyringBelow(own);
      if (found.isPresent()) {
        return found.get();
      }
    }
    Trees.delete(download);
    if (root) {
      progress.update("Installing " + KEYRING_PACKAGE + " on this machine", 0, 0);
      commands.run(List.of("apt-get", "-q", "update"), directory, () -> {});
      commands.run(
          List.of("apt-get", "-q", "--yes", "install", KEYRING_PACKAGE), directory, () -> {});
      Optional<Path> found = keyringBelow(Path.of("/"));
      if (found.isPresent()) {
        return found.get();
      }
    }
    throw new ImageException(
        "this machine does not have the keys of Debian's archive: sudo apt-get install "
            + KEYRING_PACKAGE);
  }

  private static Optional<Path> keyringBelow(Path folder) {
    return KEYRINGS.stream()
        .map(name -> folder.resolve(name.substring(1)))
        .filter(Files::isReadable)
        .findFirst();
  }

  static boolean isSuperuser() {
    try {
      return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
    } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
      return false;
    }
  }
}
