package dev.partita.image.debian;

import dev.partita.image.GuestFiles;
import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import dev.partita.image.RamDisk;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/// Makes the guest that boots when nothing else is given, the distribution's own kernel with a RAM
/// disk, and keeps it in a cache.
///
/// The cache, under `<root>/<distribution>/<release>/`:
///
/// | path | what |
/// |---|---|
/// | `current` | the key of the guest to use |
/// | `guests/<key>/` | `vmlinuz`, `initrd.img` and `manifest`; complete from the moment it is
/// there | | `packages/` | verified .deb files of the guests that are kept |
/// | `apt/` | apt's lists and indexes |
/// | `work/` | what is being downloaded or built; of no use once its maker is gone |
/// | `lock` | locked by the process that changes any of these |
///
/// A directory appears under its final name by a rename, so that a process that is killed leaves
/// nothing but `work/`, which the next one empties. Reading takes no lock. The previous guest
/// stays until the next but one is made, for those that still read it. Thread-safe.
public final class DebianGuest {
  /// The first UART as the console, a reset when the kernel panics, and no tests of the kernel's
  /// own ciphers at boot, which are half of all the instructions until the first process (Linux:
  /// Documentation/admin-guide/kernel-parameters.rst).
  static final String COMMAND_LINE = "console=ttyS0 panic=-1 cryptomgr.notests";

  private static final System.Logger LOGGER = System.getLogger(DebianGuest.class.getName());
  private static final String KERNEL = "vmlinuz";
  private static final String INITRD = "initrd.img";

  /// File locks are held by the whole process: its own threads need this one as well.
  private static final ReentrantLock IN_PROCESS = new ReentrantLock();

  private final Path directory;
  private final HostRelease release;
  private final PackageSource source;
  private final String recipe;

  DebianGuest(Path cacheRoot, HostRelease release, PackageSource source, String recipe) {
    this.directory = cacheRoot.resolve(release.id()).resolve(release.codename());
    this.release = release;
    this.source = source;
    this.recipe = recipe;
  }

  /// The guest of this machine's distribution.
  public static DebianGuest ofHost(Path cacheRoot) {
    HostRelease release = HostRelease.read(Path.of("/etc/os-release"));
    Path directory = cacheRoot.toAbsolutePath().resolve(release.id()).resolve(release.codename());
    PackageSource source =
        new AptSource(new HostCommands(), directory.resolve("apt"), Host.isSuperuser());
    return new DebianGuest(cacheRoot.toAbsolutePath(), release, source, Manifest.currentRecipe());
  }

  /// Gives the guest, from the cache when it is there.
  ///
  /// @param refresh whether to look for newer packages even so
  public GuestFiles prepare(boolean refresh, Progress progress) throws IOException {
    if (!refresh) {
      Optional<GuestFiles> cached = cached();
      if (cached.isPresent()) {
        return cached.get();
      }
    }
    IN_PROCESS.lock();
    try {
      Files.createDirectories(directory);
      try (FileChannel file =
          FileChannel.open(
              directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        lock(file, progress);
        return prepareLocked(refresh, progress);
      }
    } catch (FileSystemException e) {
      String why =
          switch (e) {
            case AccessDeniedException denied -> "permission denied";
            case NoSuchFileException missing -> "it is gone";
            default -> e.getReason() != null ? e.getReason() : e.getClass().getSimpleName();
          };
      throw new ImageException(
          "cannot use the cache: %s: %s (PARTITA_CACHE can name another directory)"
              .formatted(e.getFile(), why),
          e);
    } finally {
      IN_PROCESS.unlock();
    }
  }

  /// Locks the cache against other processes, until the channel is closed.
  private static void lock(FileChannel file, Progress progress) throws IOException {
    if (file.tryLock() == null) {
      progress.update("Waiting for another process that makes the same guest", 0, 0);
      file.lock();
    }
  }

  private GuestFiles prepareLocked(boolean refresh, Progress progress) throws IOException {
    if (!refresh) {
      Optional<GuestFiles> cached = cached(); // another process may have made it meanwhile
      if (cached.isPresent()) {
        return cached.get();
      }
    }
    clearWork();
    Optional<List<PackageRecord>> kept = refresh ? Optional.empty() : keptPackages();
    if (kept.isPresent()) {
      List<PackageRecord> packages = kept.get(); // only the recipe is new
      return make(source.isComplete(packages) ? packages : completed(packages, progress), progress);
    }
    return make(fetchAll(refresh, progress), progress);
  }

  /// What a guest of today is made of, or the packages at hand when that cannot be had now.
  private List<PackageRecord> completed(List<PackageRecord> atHand, Progress progress)
      throws IOException {
    try {
      return fetchAll(false, progress);
    } catch (ImageException e) {
      LOGGER.log(System.Logger.Level.DEBUG, "made from the packages at hand", e);
      return atHand;
    }
  }

  private List<PackageRecord> fetchAll(boolean refresh, Progress progress) throws IOException {
    try {
      List<PackageRecord> packages = source.resolve(refresh, progress);
      fetchAll(packages, progress);
      return packages;
    } catch (PackageSource.StaleListException e) {
      List<PackageRecord> packages = source.resolve(true, progress);
      fetchAll(packages, progress);
      return packages;
    }
  }

  private Optional<GuestFiles> cached() {
    return currentDirectory()
        .flatMap(
            guest ->
                Manifest.read(guest)
                    .filter(manifest -> manifest.recipe().equals(recipe))
                    .filter(manifest -> isWhole(guest, manifest))
                    .map(manifest -> files(guest, manifest)));
  }

  private Optional<Path> currentDirectory() {
    try {
      String key = Files.readString(directory.resolve("current")).strip();
      return key.matches("[A-Za-z0-9._+-]{1,200}") && !key.startsWith(".")
          ? Optional.of(directory.resolve("guests").resolve(key))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private static boolean isWhole(Path guest, Manifest manifest) {
    try {
      return Files.size(guest.resolve(KERNEL)) == manifest.kernelBytes()
          && Files.size(guest.resolve(INITRD)) == manifest.initrdBytes();
    } catch (IOException e) {
      return false;
    }
  }

  private GuestFiles files(Path guest, Manifest manifest) {
    List<String> packages = new ArrayList<>();
    manifest.packages().forEach(p -> packages.add(p.name() + " " + p.version()));
    return new GuestFiles(
        guest.resolve(KERNEL),
        guest.resolve(INITRD),
        COMMAND_LINE,
        manifest.kernelRelease(),
        "%s: %s".formatted(release.prettyName(), String.join(", ", packages)));
  }

  /// The packages of the current guest, when all of them are still here and sound.
  private Optional<List<PackageRecord>> keptPackages() throws IOException {
    Optional<Manifest> manifest = currentDirectory().flatMap(Manifest::read);
    if (manifest.isEmpty()) {
      return Optional.empty();
    }
    for (PackageRecord p : manifest.get().packages()) {
      if (!isSound(packageFile(p), p)) {
        return Optional.empty();
      }
    }
    return Optional.of(manifest.get().packages());
  }

  private Path packageFile(PackageRecord p) {
    return directory.resolve("packages").resolve(p.fileName());
  }

  private void fetchAll(List<PackageRecord> packages, Progress progress) throws IOException {
    Files.createDirectories(directory.resolve("packages"));
    for (PackageRecord p : packages) {
      if (isSound(packageFile(p), p)) {
        continue;
      }
      String stage = "Downloading " + p.name();
      progress.update(stage, 0, p.size());
      Path download = Files.createTempDirectory(work(), "download");
      Path file =
          source.fetch(
              p, download, done -> progress.update(stage, Math.min(done, p.size()), p.size()));
      if (!isSound(file, p)) {
        throw new PackageSource.StaleListException(
            "%s %s as downloaded is not what the archive's list describes"
                .formatted(p.name(), p.version()));
      }
      progress.update(stage, p.size(), p.size());
      Files.move(file, packageFile(p), StandardCopyOption.ATOMIC_MOVE);
    }
  }

  private GuestFiles make(List<PackageRecord> packages, Progress progress) throws IOException {
    String key = Manifest.key(packages, recipe);
    Path guest = directory.resolve("guests").resolve(key);
    Optional<Manifest> present = Manifest.read(guest).filter(m -> isWhole(guest, m));
    if (present.isPresent()) {
      setCurrent(key);
      return files(guest, present.get());
    }
    Path work = Files.createTempDirectory(work(), "guest");
    RamDisk.Built built =
        RamDisk.build(
            packages.stream().map(this::packageFile).toList(),
            work.resolve(KERNEL),
            work.resolve(INITRD),
            progress);
    Manifest manifest =
        new Manifest(
            recipe,
            built.kernelRelease(),
            Files.size(work.resolve(KERNEL)),
            built.bytes(),
            packages);
    manifest.write(work);
    for (String name : List.of(KERNEL, INITRD, Manifest.FILE)) {
      sync(work.resolve(name));
    }
    deleteTree(guest); // a damaged one of the same key
    Files.createDirectories(guest.getParent());
    Files.move(work, guest, StandardCopyOption.ATOMIC_MOVE);
    Set<String> keep = new HashSet<>(Set.of(key));
    currentDirectory().ifPresent(previous -> keep.add(previous.getFileName().toString()));
    setCurrent(key);
    prune(keep, packages);
    return files(guest, manifest);
  }

  private void setCurrent(String key) throws IOException {
    Path file = work().resolve("current");
    Files.writeString(file, key + "\n");
    sync(file);
    Files.move(file, directory.resolve("current"), StandardCopyOption.ATOMIC_MOVE);
  }

  private void prune(Set<String> guests, List<PackageRecord> packages) throws IOException {
    try (Stream<Path> all = Files.list(directory.resolve("guests"))) {
      for (Path guest : all.toList()) {
        if (!guests.contains(guest.getFileName().toString())) {
          deleteTree(guest);
        }
      }
    }
    Set<Path> files = new HashSet<>(packages.stream().map(this::packageFile).toList());
    try (Stream<Path> all = Files.list(directory.resolve("packages"))) {
      for (Path file : all.toList()) {
        if (!files.contains(file)) {
          deleteTree(file);
        }
      }
    }
  }

  private Path work() throws IOException {
    return Files.createDirectories(directory.resolve("work"));
  }

  /// Deletes what killed processes left. A download that still runs on without its maker may put
  /// files there meanwhile, which is why each gets a directory of its own and this may fail.
  private void clearWork() {
    try {
      deleteTree(directory.resolve("work"));
    } catch (IOException e) {
      LOGGER.log(System.Logger.Level.DEBUG, "left in the cache for the next time", e);
    }
  }

  private static boolean isSound(Path file, PackageRecord p) throws IOException {
    try {
      if (Files.size(file) != p.size()) {
        return false;
      }
    } catch (NoSuchFileException e) {
      return false;
    }
    MessageDigest digest = Manifest.sha256();
    byte[] buffer = new byte[256 << 10];
    try (InputStream in = Files.newInputStream(file)) {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        digest.update(buffer, 0, count);
      }
    }
    return HexFormat.of().formatHex(digest.digest()).equals(p.sha256());
  }

  private static void sync(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
  }

  private static void deleteTree(Path root) throws IOException {
    if (Files.isDirectory(root, LinkOption.NOFOLLOW_LINKS)) {
      try (Stream<Path> children = Files.list(root)) {
        for (Path child : children.toList()) {
          deleteTree(child);
        }
      }
    }
    Files.deleteIfExists(root);
  }
}
