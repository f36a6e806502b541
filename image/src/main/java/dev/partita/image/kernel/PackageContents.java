package dev.partita.image.kernel;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import dev.partita.image.archive.ArchiveLimits;
import dev.partita.image.archive.DebReader;
import dev.partita.image.archive.Decompressor;
import dev.partita.image.archive.TarEntry;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Takes from a set of packages what a RAM disk is made of: the kernel, its modules, BusyBox, the
/// daemons for Hyper-V.
///
/// Packages are read once, as streams. The modules, of which most will not be wanted but all must
/// be known to find out which depend on which, wait in a scratch file. Not thread-safe.
public final class PackageContents implements Closeable {
  private static final Pattern MODULE =
      Pattern.compile("(?:usr/)?lib/modules/([^/]+)/(.+\\.ko)(\\.gz|\\.xz|\\.zst)?");
  private static final Pattern MODULES_BUILTIN =
      Pattern.compile("(?:usr/)?lib/modules/([^/]+)/modules\\.builtin");
  private static final Pattern KERNEL =
      Pattern.compile("boot/vmlinuz-([^/]+)|(?:usr/)?lib/modules/([^/]+)/vmlinuz");
  private static final Pattern BUSYBOX = Pattern.compile("(?:usr/)?bin/busybox");
  private static final Pattern DHCP_SCRIPT =
      Pattern.compile("usr/share/doc/busybox[^/]*/examples/udhcp/simple\\.script");

  /// Debian has them in /usr/sbin, Ubuntu in a folder of the kernel's version.
  private static final Pattern DAEMON =
      Pattern.compile("usr/(?:sbin|lib/linux-tools[^/]*)/(hv_(?:kvp|vss|fcopy|fcopy_uio)_daemon)");

  /// The C library and its loader; until version 2.33 they had its version in their names.
  private static final Pattern LIBRARY =
      Pattern.compile(
          "(?:usr/)?lib(?:64)?/(?:x86_64-linux-gnu/)?"
              + "(?:(libc)(?:\\.so\\.6|-2\\.[0-9]+\\.so)|(ld)-(?:linux-x86-64\\.so\\.2|2\\.[0-9]+\\.so))");

  /// Linux, Documentation/arch/x86/boot.rst: "HdrS" at offset 0x202.
  private static final int BOOT_MAGIC_OFFSET = 0x202;

  private static final byte[] BOOT_MAGIC = "HdrS".getBytes(StandardCharsets.US_ASCII);

  private record Place(long offset, int size) {}

  private final Path kernelFile;
  private final RandomAccessFile scratch;
  private final Map<String, Place> places = new HashMap<>();
  private final List<ModuleInfo> modules = new ArrayList<>();
  private @Nullable String release;
  private byte @Nullable [] builtin;
  private byte @Nullable [] busyBox;
  private byte @Nullable [] dhcpScript;
  private final Map<String, byte[]> daemons = new TreeMap<>();
  private byte @Nullable [] library;
  private byte @Nullable [] loader;
  private boolean kernelSeen;

  private PackageContents(Path kernelFile, Path scratchFile) throws IOException {
    this.kernelFile = kernelFile;
    this.scratch = new RandomAccessFile(scratchFile.toFile(), "rw");
  }

  /// Reads packages.
  ///
  /// @param packages .deb files: the kernel with its modules, and a static BusyBox
  /// @param kernelFile where to put the kernel; written anew
  /// @param scratchFile a file for use until {@link #close}; the caller deletes it
  /// @throws ImageException when a package is broken or something is not in any of them
  public static PackageContents read(
      List<Path> packages, Path kernelFile, Path scratchFile, Progress progress)
      throws IOException {
    PackageContents contents = new PackageContents(kernelFile, scratchFile);
    try {
      long total = 0;
      for (Path file : packages) {
        total += Files.size(file);
      }
      long done = 0;
      for (Path file : packages) {
        contents.readPackage(file, done, total, progress);
        done += Files.size(file);
      }
      progress.update(STAGE, total, total);
      contents.verify();
      return contents;
    } catch (IOException | RuntimeException e) {
      contents.close();
      throw e;
    }
  }

  private static final String STAGE = "Unpacking";

  private void readPackage(Path file, long before, long total, Progress progress)
      throws IOException {
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 256 << 10);
        Meter meter = new Meter(in, before, total, progress)) {
      DebReader.read(meter, ArchiveLimits.PACKAGE, this::take);
    } catch (ImageException e) {
      throw new ImageException("%s: %s".formatted(file.getFileName(), e.getMessage()), e);
    }
  }

  private void take(TarEntry entry, InputStream content) throws IOException {
    if (entry.type() != TarEntry.Type.REGULAR) {
      return;
    }
    String path = entry.path();
    Matcher module = MODULE.matcher(path);
    if (module.matches()) {
      sameRelease(module.group(1));
      takeModule(module.group(2), module.group(3), content);
      return;
    }
    Matcher kernel = KERNEL.matcher(path);
    if (kernel.matches()) {
      sameRelease(kernel.group(1) != null ? kernel.group(1) : kernel.group(2));
      takeKernel(path, content);
    } else if (MODULES_BUILTIN.matcher(path).matches()) {
      builtin = content.readAllBytes();
    } else if (BUSYBOX.matcher(path).matches()) {
      busyBox = content.readAllBytes();
    } else if (DHCP_SCRIPT.matcher(path).matches()) {
      dhcpScript = content.readAllBytes();
    } else {
      takeDaemons(path, content);
    }
  }

  private void takeDaemons(String path, InputStream content) throws IOException {
    Matcher daemon = DAEMON.matcher(path);
    if (daemon.matches()) {
      daemons.put(daemon.group(1), content.readAllBytes());
      return;
    }
    Matcher part = LIBRARY.matcher(path);
    if (part.matches()) {
      if (part.group(1) != null) {
        library = content.readAllBytes();
      } else {
        loader = content.readAllBytes();
      }
    }
  }

  private void takeModule(String path, @Nullable String suffix, InputStream content)
      throws IOException {
    byte[] bytes = content.readAllBytes();
    if (suffix != null) {
      // Unpacked here, once, rather than in the guest at each boot.
      ArchiveLimits limits = ArchiveLimits.PACKAGE;
      bytes =
          Decompressor.open(
                  path + suffix,
                  new ByteArrayInputStream(bytes),
                  new ArchiveLimits(
                      limits.entryBytes(),
                      limits.entryBytes(),
                      limits.entries(),
                      limits.pathBytes(),
                      limits.decoderKibibytes()))
              .readAllBytes();
    }
    ModuleInfo info = ModuleInfo.of(path, bytes);
    if (places.putIfAbsent(path, new Place(scratch.getFilePointer(), bytes.length)) == null) {
      modules.add(info);
      scratch.write(bytes);
    }
  }

  private void takeKernel(String path, InputStream content) throws IOException {
    if (kernelSeen) {
      return; // the same under /boot and under /usr/lib/modules
    }
    byte[] start = content.readNBytes(BOOT_MAGIC_OFFSET + BOOT_MAGIC.length);
    for (int i = 0; i < BOOT_MAGIC.length; i++) {
      if (start.length < BOOT_MAGIC_OFFSET + BOOT_MAGIC.length
          || start[BOOT_MAGIC_OFFSET + i] != BOOT_MAGIC[i]) {
        throw new ImageException(path + " is no Linux kernel for x86");
      }
    }
    try (var out = Files.newOutputStream(kernelFile)) {
      out.write(start);
      content.transferTo(out);
    }
    kernelSeen = true;
  }

  private void sameRelease(String seen) throws ImageException {
    if (release == null) {
      release = seen;
    } else if (!release.equals(seen)) {
      throw new ImageException(
          "the packages are of two kernels, %s and %s".formatted(release, seen));
    }
  }

  private void verify() throws ImageException {
    if (!kernelSeen) {
      throw new ImageException("no kernel (boot/vmlinuz-*) in the packages");
    }
    if (modules.isEmpty()) {
      throw new ImageException("no kernel modules in the packages");
    }
    if (busyBox == null) {
      throw new ImageException("no BusyBox in the packages");
    }
  }

  /// The kernel's release as `uname -r` prints it.
  public String release() {
    return Objects.requireNonNull(release);
  }

  /// What is known of every module in the packages.
  public Collection<ModuleInfo> modules() {
    return List.copyOf(modules);
  }

  /// The bytes of one of {@link #modules}, not compressed.
  public byte[] moduleBytes(ModuleInfo module) throws IOException {
    Place place = Objects.requireNonNull(places.get(module.path()));
    byte[] bytes = new byte[place.size()];
    scratch.seek(place.offset());
    scratch.readFully(bytes);
    return bytes;
  }

  /// The kernel's list of the modules built into it.
  public Optional<byte[]> modulesBuiltin() {
    return Optional.ofNullable(builtin);
  }

  /// The BusyBox program.
  public byte[] busyBox() {
    return Objects.requireNonNull(busyBox);
  }

  /// BusyBox's example of a script that its DHCP client calls.
  public Optional<byte[]> dhcpScript() {
    return Optional.ofNullable(dhcpScript);
  }

  /// The daemons for Hyper-V's integration services, by name; none without the C library they need.
  public Map<String, byte[]> daemons() {
    return library == null || loader == null ? Map.of() : Map.copyOf(daemons);
  }

  /// The C library, `libc.so.6`, if there is one for {@link #daemons}.
  public Optional<byte[]> library() {
    return Optional.ofNullable(library);
  }

  /// The loader of programs that are linked to it, `ld-linux-x86-64.so.2`.
  public Optional<byte[]> loader() {
    return Optional.ofNullable(loader);
  }

  @Override
  public void close() throws IOException {
    scratch.close();
  }

  /// Tells of each MiB read.
  private static final class Meter extends FilterInputStream {
    private final long total;
    private final Progress progress;
    private long done;
    private long told = -(1 << 20);

    Meter(InputStream in, long before, long total, Progress progress) {
      super(in);
      this.done = before;
      this.total = total;
      this.progress = progress;
    }

    @Override
    public int read() throws IOException {
      int value = in.read();
      if (value >= 0) {
        count(1);
      }
      return value;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      int count = in.read(buffer, offset, length);
      count(count);
      return count;
    }

    private void count(int bytes) {
      done += Math.max(0, bytes);
      if (done - told >= 1 << 20) {
        told = done;
        progress.update(STAGE, done, total);
      }
    }
  }
}
