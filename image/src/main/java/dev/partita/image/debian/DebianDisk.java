package dev.partita.image.debian;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskConversion;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Disks;
import dev.partita.image.DebianDiskRequest;
import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import dev.partita.image.partition.GptWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/// Makes a disk with a Debian that boots, from the release's packages.
///
/// The packages are kept under `<cache>/disks/<code name>/`, so that the next disk needs only the
/// newer ones. What is under way lies in `work/` there, which the next maker empties; the disk
/// appears under its name when it is complete.
public final class DebianDisk {
  /// Linux root file system for x86-64 (The Discoverable Partitions Specification).
  private static final UUID LINUX_ROOT = UUID.fromString("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");

  private static final long MEBIBYTE = 1 << 20;

  /// Where the root partition begins, as partitioning programs align it.
  private static final long ROOT_OFFSET = MEBIBYTE;

  /// The serial port last: it is the console of init. The tests of the kernel's own ciphers are
  /// half of all instructions until the first process (Linux: kernel-parameters.rst).
  private static final String KERNEL_OPTIONS = "console=tty0 console=ttyS0 cryptomgr.notests";

  /// The packages of priority required make Debian's base; these make it a guest.
  private static final List<String> PACKAGES =
      List.of(
          "?essential",
          "?priority(required)",
          "usr-is-merged",
          // What boots.
          "linux-image-cloud-amd64",
          "initramfs-tools",
          "lz4",
          "e2fsprogs",
          "systemd-sysv",
          "udev",
          "dbus",
          "libpam-systemd",
          // What makes it a guest.
          "hyperv-daemons",
          "cloud-init",
          "cloud-guest-utils",
          "fdisk",
          "openssh-server",
          "systemd-resolved",
          // What people expect.
          "apt",
          "bash-completion",
          "ca-certificates",
          "debian-archive-keyring",
          "iproute2",
          "iputils-ping",
          "kmod",
          "less",
          "nano",
          "netbase",
          "procps",
          "sudo",
          "tzdata");

  /// Unpacked first, without their scripts, so that dpkg can run.
  private static final List<String> ESSENTIAL = List.of("?essential", "usr-is-merged");

  /// For the installation only: ownership without root, and no waiting for the medium.
  private static final List<String> TOOLS = List.of("fakeroot", "libfakeroot", "libeatmydata1");

  private final Path directory;
  private final DebianRelease release;
  private final Host host;

  private DebianDisk(Path directory, DebianRelease release, Host host) {
    this.directory = directory;
    this.release = release;
    this.host = host;
  }

  /// Makes the disk.
  ///
  /// @param cache the usual cache directory, made when missing
  /// @param output the file to be; its name tells the format
  /// @param replace whether a file of that name may be replaced
  public static void make(
      Path cache, DebianDiskRequest request, Path output, boolean replace, Progress progress)
      throws IOException {
    request.check();
    DebianRelease release = DebianRelease.named(request.release());
    DiskFormat format = Disks.formatOf(output);
    if (!replace && Files.exists(output)) {
      throw new ImageException(output + " is there already; --force replaces it");
    }
    Path directory = cache.toAbsolutePath().resolve("disks").resolve(release.codename());
    Host host = Host.check(directory, progress);
    Files.createDirectories(directory);
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      if (file.tryLock() == null) {
        progress.update("Waiting for another process that makes a disk", 0, 0);
        file.lock();
      }
      new DebianDisk(directory, release, host)
          .makeLocked(request, output.toAbsolutePath(), format, replace, progress);
    }
  }

  private void makeLocked(
      DebianDiskRequest request, Path output, DiskFormat format, boolean replace, Progress progress)
      throws IOException {
    Path work = directory.resolve("work");
    Trees.delete(work);
    Files.createDirectory(
        work, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Thread cleaner = new Thread(() -> Trees.deleteQuietly(work), "image-cleaner");
    Runtime.getRuntime().addShutdownHook(cleaner);
    try {
      Path raw = install(request, work, progress);
      deliver(raw, output, format, request.size(), replace, progress);
    } finally {
      Trees.deleteQuietly(work);
      try {
        Runtime.getRuntime().removeShutdownHook(cleaner);
      } catch (IllegalStateException e) {
        // The process is ending: it runs, and finds nothing to do.
      }
    }
  }

  /// Makes the raw disk.
  private Path install(DebianDiskRequest request, Path work, Progress progress) throws IOException {
    ReleaseArchive archive =
        new ReleaseArchive(
            host.commands(), directory, release, host.keyring(), host.mode() != Host.Mode.USER);
    String sources = archive.update(Optional.ofNullable(request.mirror()), progress);
    List<String> wanted = new ArrayList<>(PACKAGES);
    wanted.addAll(request.packages());
    List<String> all = new ArrayList<>(wanted);
    all.addAll(TOOLS);
    List<ReleaseArchive.Planned> plan = archive.plan(wanted);
    List<ReleaseArchive.Planned> tools =
        archive.plan(all).stream().filter(p -> TOOLS.contains(p.name())).toList();
    archive.fetch(all, progress);
    archive.tidy();

    UUID rootId = UUID.randomUUID();
    writeLines(work.resolve("packages"), plan.stream().map(ReleaseArchive.Planned::fileName));
    writeLines(
        work.resolve("essential"),
        archive.plan(ESSENTIAL).stream().map(ReleaseArchive.Planned::fileName));
    writeLines(
        work.resolve("tools-packages"), tools.stream().map(ReleaseArchive.Planned::fileName));
    writeLines(work.resolve("wanted"), wanted.stream());
    Files.writeString(work.resolve("sources.list"), sources);
    writeSettings(request, work, rootId);

    Path raw = work.resolve("disk.raw");
    long rootKib = partition(raw, request.size(), rootId);
    Map<String, String> environment = new LinkedHashMap<>();
    environment.put("WORK", work.toString());
    environment.put("PACKAGES", archive.packages().toString());
    environment.put("LISTS", archive.lists().toString());
    environment.put("MODE", host.mode().name().toLowerCase(Locale.ROOT));
    environment.put("ROOT_ID", rootId.toString());
    environment.put("ROOT_OFFSET", Long.toString(ROOT_OFFSET));
    environment.put("ROOT_KIB", Long.toString(rootKib));
    new Installation(directory.resolve("install.log"), archive.packages(), plan, progress)
        .run(host.command(work.resolve("install")), work, environment);
    return raw;
  }

  private static void writeLines(Path file, java.util.stream.Stream<String> lines)
      throws IOException {
    Files.write(file, lines.toList());
  }

  /// Writes what the installation reads: its scripts, the guest's own files, and its settings.
  private void writeSettings(DebianDiskRequest request, Path work, UUID rootId) throws IOException {
    for (String script : List.of("install", "settle")) {
      Files.writeString(work.resolve(script), resource(script));
    }
    String greeting =
        request.password() == null
            ? "Log in as %s: no password is asked for on the console.\n".formatted(request.user())
            : "";
    Map<String, String> values =
        Map.of(
            "ROOT_ID",
            rootId.toString(),
            "HOSTNAME",
            request.hostname(),
            "GREETING",
            greeting,
            "KERNEL_OPTIONS",
            KERNEL_OPTIONS);
    for (String phase : List.of("before", "after")) {
      Files.createDirectory(work.resolve(phase));
    }
    for (GuestFile file : GuestFile.parse(resource("files"), values)) {
      Path path = work.resolve(file.phase() + file.path());
      Files.createDirectories(path.getParent());
      Files.writeString(path, file.content());
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(file.permissions()));
    }
    Files.writeString(work.resolve("settings"), "GUEST_USER=%s\n".formatted(request.user()));
    if (!request.keys().isEmpty()) {
      Files.writeString(work.resolve("keys"), String.join("\n", request.keys()) + "\n");
    }
    if (request.password() != null) {
      // The directory is closed to others.
      Files.writeString(
          work.resolve("secret"), "%s:%s\n".formatted(request.user(), request.password()));
    }
  }

  /// Makes the raw disk with its partition table.
  ///
  /// @return KiB of the root partition
  private static long partition(Path raw, long size, UUID rootId) throws IOException {
    Disks.create(raw, CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, size));
    try (var disk = Disks.open(raw, DiskFormat.RAW, true)) {
      long end = (size - GptWriter.reservedAtEnd(disk)) / MEBIBYTE * MEBIBYTE;
      long length = end - ROOT_OFFSET;
      GptWriter.write(
          disk,
          UUID.randomUUID(),
          List.of(
              new GptWriter.Entry(1, LINUX_ROOT, UUID.randomUUID(), ROOT_OFFSET, length, "root")));
      return length / 1024;
    }
  }

  /// Converts the raw disk into the file asked for, which appears when it is whole.
  private static void deliver(
      Path raw, Path output, DiskFormat format, long size, boolean replace, Progress progress)
      throws IOException {
    Path partial =
        output.resolveSibling(
            ".%s.%d.partial".formatted(output.getFileName(), ProcessHandle.current().pid()));
    Files.deleteIfExists(partial);
    Thread cleaner = new Thread(() -> Trees.deleteQuietly(partial), "image-partial-cleaner");
    Runtime.getRuntime().addShutdownHook(cleaner);
    try {
      DiskType type = format == DiskFormat.RAW ? DiskType.FIXED : DiskType.DYNAMIC;
      CreateOptions options = CreateOptions.of(format, type, size);
      if (format != DiskFormat.RAW) {
        options =
            options.withBlockSize(2 << 20); // small files: what a file system leaves is spread
      }
      String stage = "Writing " + output.getFileName();
      DiskConversion.convert(
          raw,
          DiskFormat.RAW,
          partial,
          options,
          (done, total) -> progress.update(stage, done, total));
      if (replace) {
        Files.move(partial, output, StandardCopyOption.ATOMIC_MOVE);
      } else {
        // A link fails where a rename would replace what someone else put there meanwhile.
        Files.createLink(output, partial);
      }
    } catch (FileAlreadyExistsException e) {
      throw new ImageException(output + " is there already; --force replaces it", e);
    } finally {
      Files.deleteIfExists(partial);
      try {
        Runtime.getRuntime().removeShutdownHook(cleaner);
      } catch (IllegalStateException e) {
        // The process is ending: it runs, and finds nothing to do.
      }
    }
  }

  /// Tells one way of making the usual disk from another, by a digest of all that decides on it.
  public static String recipe() {
    String all =
        String.join("\n", PACKAGES)
            + KERNEL_OPTIONS
            + resource("install")
            + resource("settle")
            + resource("files");
    byte[] digest = Manifest.sha256().digest(all.getBytes(StandardCharsets.UTF_8));
    return HexFormat.of().formatHex(digest).substring(0, 12);
  }

  static String resource(String name) {
    try (InputStream in = DebianDisk.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the program is incomplete: no resource " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException("the program's resource %s is unreadable".formatted(name), e);
    }
  }
}
