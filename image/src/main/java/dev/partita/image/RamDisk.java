package dev.partita.image;

import dev.partita.image.archive.CpioWriter;
import dev.partita.image.kernel.BusyBox;
import dev.partita.image.kernel.ModuleInfo;
import dev.partita.image.kernel.ModuleSet;
import dev.partita.image.kernel.PackageContents;
import java.io.BufferedOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// Makes initial RAM disks for Linux guests.
///
/// They are not compressed. A RAM disk is placed in the guest's memory by the host, where its size
/// costs next to nothing; to decompress it would be the guest's work, at the speed of the guest's
/// processor, which may be emulated.
public final class RamDisk {
  private RamDisk() {}

  /// What {@link #build} made.
  ///
  /// @param kernelRelease the kernel's release as `uname -r` prints it
  /// @param modules how many modules are in the RAM disk
  /// @param bytes the RAM disk's size
  public record Built(String kernelRelease, int modules, long bytes) {}

  /// Builds a RAM disk with a shell, and its kernel, from a distribution's packages.
  ///
  /// @param packages .deb files that hold a kernel, its modules and a static BusyBox
  /// @param kernel where to put the kernel
  /// @param initrd where to put the RAM disk; a scratch file appears beside it meanwhile
  /// @throws ImageException when a package is broken or incomplete
  public static Built build(List<Path> packages, Path kernel, Path initrd, Progress progress)
      throws IOException {
    Path scratch = initrd.resolveSibling(initrd.getFileName() + ".modules");
    try (PackageContents contents = PackageContents.read(packages, kernel, scratch, progress)) {
      ModuleSet modules = new ModuleSet(contents.modules()).closureOf(moduleNames());
      FileTree tree = new FileTree();
      addSystem(tree, contents);
      addModules(tree, contents, modules);
      addDaemons(tree, contents);
      long bytes = write(tree, initrd, progress);
      return new Built(contents.release(), modules.modules().size(), bytes);
    } finally {
      Files.deleteIfExists(scratch);
    }
  }

  /// Writes a file tree as a RAM disk, and onto stable storage.
  ///
  /// @return its bytes
  public static long write(FileTree tree, Path initrd, Progress progress) throws IOException {
    try (FileOutputStream file = new FileOutputStream(initrd.toFile());
        OutputStream out = new BufferedOutputStream(file, 1 << 20)) {
      long bytes = CpioWriter.write(tree, out);
      out.flush();
      file.getFD().sync();
      progress.update("Writing the RAM disk", bytes, bytes);
      return bytes;
    }
  }

  /// Everything that decides what a RAM disk made of given packages holds, as text; a cache keeps
  /// a digest of it.
  public static String recipe() {
    StringBuilder all = new StringBuilder("layout 2\n");
    for (String name : List.of("init", "console", "network", "fstab", "profile", "modules")) {
      all.append(text(name));
    }
    return all.toString();
  }

  private static void addSystem(FileTree tree, PackageContents contents) throws IOException {
    for (String directory : List.of("bin", "etc", "lib", "mnt", "run", "usr", "var")) {
      tree.directory(directory, 0755);
    }
    for (String directory : List.of("dev", "proc", "sys")) {
      tree.directory(directory, 0555);
    }
    tree.directory("root", 0700);
    tree.directory("tmp", 01777);
    // One folder for programs under all its names, whichever a script uses.
    tree.symbolicLink("sbin", "bin");
    tree.symbolicLink("usr/bin", "../bin");
    tree.symbolicLink("usr/sbin", "../bin");
    tree.symbolicLink("usr/lib", "../lib");
    tree.symbolicLink("var/run", "../run");
    tree.symbolicLink("var/tmp", "../tmp");

    // The kernel opens /dev/console for the first process before anything is mounted there.
    tree.put("dev/console", new FileTree.Device(false, 0600, 5, 1));
    tree.put("dev/null", new FileTree.Device(false, 0666, 1, 3));

    byte[] busyBox = contents.busyBox();
    tree.file("bin/busybox", 0755, busyBox);
    List<String> applets = BusyBox.applets(busyBox);
    if (applets.isEmpty()) {
      // What /init needs before it lets BusyBox make the links itself.
      applets = List.of("sh", "mount");
    }
    for (String applet : applets) {
      tree.symbolicLink("bin/" + applet, "busybox");
    }

    file(tree, "init", 0755, text("init"));
    file(tree, "etc/console", 0755, text("console"));
    file(tree, "bin/network", 0755, text("network"));
    file(tree, "etc/fstab", 0644, text("fstab"));
    file(tree, "etc/profile", 0644, text("profile"));
    file(tree, "etc/hostname", 0644, "partita\n");
    file(tree, "etc/hosts", 0644, "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 partita\n");
    file(
        tree,
        "etc/passwd",
        0644,
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
    file(tree, "etc/group", 0644, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
    tree.symbolicLink("etc/mtab", "/proc/mounts");
    if (contents.dhcpScript().isPresent()) {
      tree.file("etc/udhcpc/default.script", 0755, contents.dhcpScript().get());
    }
  }

  private static void addModules(FileTree tree, PackageContents contents, ModuleSet modules)
      throws IOException {
    String folder = "lib/modules/" + contents.release() + "/";
    for (ModuleInfo module : modules.modules()) {
      tree.file(folder + module.path(), 0644, contents.moduleBytes(module));
    }
    file(tree, folder + "modules.dep", 0644, modules.dependencyIndex());
    file(tree, folder + "modules.alias", 0644, modules.aliasIndex());
    if (contents.modulesBuiltin().isPresent()) {
      tree.file(folder + "modules.builtin", 0644, contents.modulesBuiltin().get());
    }
  }

  /// The daemons for Hyper-V's integration services, and what they are linked to.
  private static void addDaemons(FileTree tree, PackageContents contents) throws IOException {
    if (contents.daemons().isEmpty()
        || contents.library().isEmpty()
        || contents.loader().isEmpty()) {
      return;
    }
    for (Map.Entry<String, byte[]> daemon : new TreeMap<>(contents.daemons()).entrySet()) {
      tree.file("bin/" + daemon.getKey(), 0755, daemon.getValue());
    }
    tree.directory("lib/x86_64-linux-gnu", 0755);
    tree.file("lib/x86_64-linux-gnu/libc.so.6", 0755, contents.library().get());
    tree.directory("lib64", 0755);
    tree.file("lib64/ld-linux-x86-64.so.2", 0755, contents.loader().get());
    tree.directory("var/lib/hyperv", 0755);
  }

  private static List<String> moduleNames() {
    return text("modules").lines().filter(l -> !l.isBlank() && !l.startsWith("#")).toList();
  }

  private static void file(FileTree tree, String path, int mode, String text)
      throws ImageException {
    tree.file(path, mode, text.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static String text(String resource) {
    try (InputStream in = RamDisk.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("the program is incomplete: no resource " + resource);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException(
          "the program's resource %s is unreadable".formatted(resource), e);
    }
  }
}
