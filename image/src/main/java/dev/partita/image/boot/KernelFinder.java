package dev.partita.image.boot;

import dev.partita.disk.VirtualDisk;
import dev.partita.image.ImageException;
import dev.partita.image.filesystem.FileSystem;
import dev.partita.image.filesystem.FileSystems;
import dev.partita.image.filesystem.FileSystems.Found;
import dev.partita.image.filesystem.Node;
import dev.partita.image.filesystem.Volume;
import dev.partita.image.partition.Partition;
import dev.partita.image.partition.PartitionTable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;

/// Finds the kernel that a disk would boot, as its own boot loader would: the entries of the Boot
/// Loader Specification, GRUB's default entry, the links `/vmlinuz` and `/initrd.img`, or the
/// newest kernel in `/boot`; in this order, on any partition.
public final class KernelFinder {
  private static final int MOST_TEXT = 1 << 20;
  private static final int MOST_ENTRIES = 256;
  private static final List<String> GRUB_FOLDERS = List.of("grub", "grub2");

  /// `HdrS`, where the setup header of a bzImage for x86 begins (Linux:
  /// Documentation/arch/x86/boot.rst).
  private static final int SETUP_MAGIC = 0x53726448;

  private static final int SETUP_MAGIC_AT = 0x202;
  private static final int ELF_MAGIC = 0x464c457f;

  private final List<Place> places = new ArrayList<>();
  private final List<FileSystem> fileSystems = new ArrayList<>();
  private final Map<FileSystem, Partition> partitions = new HashMap<>();
  private final List<String> remarks = new ArrayList<>();
  private final List<String> seen = new ArrayList<>();
  private Optional<FileSystem> root = Optional.empty();

  /// A directory that may be what a running system has as `/boot`.
  private record Place(FileSystem fileSystem, String path) {}

  private KernelFinder() {}

  /// Looks for the kernel.
  ///
  /// @throws ImageException when there is none; the message says what is on the disk
  public static InstalledKernel find(VirtualDisk disk) throws IOException {
    KernelFinder finder = new KernelFinder();
    finder.look(disk);
    Optional<InstalledKernel> found = finder.choose();
    if (found.isEmpty()) {
      throw new ImageException(
          "%s: no kernel found on it (%s); give one with --kernel"
              .formatted(
                  disk.name(),
                  finder.seen.isEmpty() ? "it is empty" : String.join(", ", finder.seen)));
    }
    return found.get();
  }

  private void look(VirtualDisk disk) throws IOException {
    for (Partition partition : PartitionTable.read(disk)) {
      String name = partition.number() == 0 ? "the whole disk" : "partition " + partition.number();
      Volume volume = new Volume(disk, partition.offset(), partition.length(), name);
      try {
        switch (FileSystems.detect(volume)) {
          case Found.Readable(FileSystem readable) -> {
            fileSystems.add(readable);
            partitions.put(readable, partition);
            seen.add(name + ": " + readable.type());
            if (!readable.remark().isEmpty()) {
              remarks.add("%s: %s".formatted(name, readable.remark()));
            }
            if (readable.find("/boot").filter(KernelFinder::isDirectory).isPresent()) {
              places.add(new Place(readable, "/boot"));
            }
            places.add(new Place(readable, ""));
            if (root.isEmpty() && isRoot(readable)) {
              root = Optional.of(readable);
            }
          }
          case Found.Other(String what) when what.isEmpty() -> {}
          case Found.Other(String what) ->
              seen.add("%s: %s, which is not read here".formatted(name, what));
        }
      } catch (ImageException e) {
        seen.add(String.valueOf(e.getMessage()));
        remarks.add(String.valueOf(e.getMessage()));
      }
    }
  }

  private static boolean isDirectory(Node node) {
    return node.kind() == Node.Kind.DIRECTORY;
  }

  private static boolean isRoot(FileSystem fileSystem) throws IOException {
    return fileSystem.find("/etc/os-release").isPresent()
        || fileSystem.find("/etc/fstab").isPresent() && fileSystem.find("/usr").isPresent();
  }

  /// A way of choosing.
  @FunctionalInterface
  private interface Way {
    Optional<InstalledKernel> in(Place place) throws IOException;
  }

  private Optional<InstalledKernel> choose() throws IOException {
    List<Way> ways = List.of(this::loaderEntries, this::grub, this::links, this::newest);
    for (Way way : ways) {
      for (Place place : places) {
        try {
          Optional<InstalledKernel> found = way.in(place);
          if (found.isPresent()) {
            return found;
          }
        } catch (ImageException e) {
          remarks.add(String.valueOf(e.getMessage()));
          seen.add(String.valueOf(e.getMessage()));
        }
      }
    }
    return Optional.empty();
  }

  private Optional<InstalledKernel> loaderEntries(Place place) throws IOException {
    FileSystem fileSystem = place.fileSystem();
    String folder = place.path() + "/loader/entries";
    Optional<Node> directory = fileSystem.find(folder);
    if (directory.isEmpty() || !isDirectory(directory.get())) {
      return Optional.empty();
    }
    Map<String, String> environment = environment(place);
    List<LoaderEntry> entries = new ArrayList<>();
    for (var file : fileSystem.list(directory.get()).entrySet()) {
      if (file.getKey().endsWith(".conf")
          && file.getValue().kind() == Node.Kind.FILE
          && entries.size() < MOST_ENTRIES) {
        LoaderEntry.parse(file.getKey(), text(fileSystem, file.getValue()), environment)
            .ifPresent(entries::add);
      }
    }
    // The newest first; a rescue system has no version that counts.
    entries.sort(
        Comparator.comparing((LoaderEntry e) -> !e.version().contains("rescue"))
            .thenComparing(LoaderEntry::version, VersionOrder.INSTANCE)
            .thenComparing(LoaderEntry::id, VersionOrder.INSTANCE));
    Collections.reverse(entries);
    String saved = environment.getOrDefault("saved_entry", "");
    String standard = saved.isEmpty() ? loaderDefault(place) : saved;
    List<LoaderEntry> chosen =
        entries.stream().filter(e -> isNamed(e.id(), standard)).limit(1).toList();
    for (LoaderEntry entry : chosen) {
      Optional<InstalledKernel> found =
          boot(place, entry, "the default entry %s of %s".formatted(entry.id(), folder));
      if (found.isPresent()) {
        return found;
      }
    }
    for (LoaderEntry entry : entries) {
      Optional<InstalledKernel> found =
          boot(place, entry, "the newest entry %s of %s".formatted(entry.id(), folder));
      if (found.isPresent()) {
        return found;
      }
    }
    return Optional.empty();
  }

  /// Whether an entry is meant by a default, which may end in `*`.
  private static boolean isNamed(String id, String standard) {
    String name = standard.replaceFirst("\\.conf$", "");
    return !name.isEmpty()
        && (name.endsWith("*")
            ? id.startsWith(name.substring(0, name.length() - 1))
            : id.equals(name));
  }

  private static String loaderDefault(Place place) throws IOException {
    Optional<Node> file = place.fileSystem().find(place.path() + "/loader/loader.conf");
    if (file.isPresent() && file.get().kind() == Node.Kind.FILE) {
      for (String line : text(place.fileSystem(), file.get()).split("\n")) {
        String[] words = line.strip().split("[ \t]+", 2);
        if (words.length == 2 && words[0].equals("default")) {
          return words[1].strip();
        }
      }
    }
    return "";
  }

  private static Map<String, String> environment(Place place) throws IOException {
    for (String grub : GRUB_FOLDERS) {
      Optional<Node> file = place.fileSystem().find("%s/%s/grubenv".formatted(place.path(), grub));
      if (file.isPresent() && file.get().kind() == Node.Kind.FILE) {
        return GrubConfiguration.environment(text(place.fileSystem(), file.get()));
      }
    }
    return Map.of();
  }

  private Optional<InstalledKernel> grub(Place place) throws IOException {
    for (String grub : GRUB_FOLDERS) {
      String path = "%s/%s/grub.cfg".formatted(place.path(), grub);
      Optional<Node> file = place.fileSystem().find(path);
      if (file.isEmpty() || file.get().kind() != Node.Kind.FILE) {
        continue;
      }
      GrubConfiguration menu =
          GrubConfiguration.parse(text(place.fileSystem(), file.get()), environment(place));
      String what = "the default entry of ";
      for (LoaderEntry entry : menu.inOrder()) {
        Optional<InstalledKernel> found =
            boot(place, entry, "%s%s, \"%s\"".formatted(what, path, entry.title()));
        if (found.isPresent()) {
          return found;
        }
        what = "an entry of ";
      }
    }
    return Optional.empty();
  }

  private Optional<InstalledKernel> links(Place place) throws IOException {
    FileSystem fileSystem = place.fileSystem();
    String kernel = place.path().equals("/boot") ? "/vmlinuz" : "/boot/vmlinuz";
    String initrd = place.path().equals("/boot") ? "/initrd.img" : "/boot/initrd.img";
    if (fileSystem.find(kernel).isEmpty()) {
      return Optional.empty();
    }
    List<String> initrds = fileSystem.find(initrd).isPresent() ? List.of(initrd) : List.of();
    return boot(
        place,
        new LoaderEntry("", "", "", kernel, initrds, "", ""),
        "the link %s".formatted(kernel));
  }

  private Optional<InstalledKernel> newest(Place place) throws IOException {
    FileSystem fileSystem = place.fileSystem();
    Optional<Node> directory = fileSystem.find(place.path() + "/");
    if (directory.isEmpty() || !isDirectory(directory.get())) {
      return Optional.empty();
    }
    SortedMap<String, Node> files = fileSystem.list(directory.get());
    List<String> versions = new ArrayList<>();
    for (String name : files.keySet()) {
      if (name.startsWith("vmlinuz-") && !name.contains("rescue")) {
        versions.add(name.substring("vmlinuz-".length()));
      }
    }
    versions.sort(VersionOrder.INSTANCE.reversed());
    for (String version : versions) {
      List<String> initrds = new ArrayList<>();
      // Debian and Ubuntu; Fedora and Arch; SUSE.
      for (String form : List.of("initrd.img-%s", "initramfs-%s.img", "initrd-%s")) {
        String name = form.formatted(version);
        if (initrds.isEmpty() && files.containsKey(name)) {
          initrds.add("%s/%s".formatted(place.path(), name));
        }
      }
      Optional<InstalledKernel> found =
          boot(
              place,
              new LoaderEntry(
                  "",
                  "",
                  version,
                  "%s/vmlinuz-%s".formatted(place.path(), version),
                  initrds,
                  "",
                  ""),
              "the newest kernel in %s".formatted(place.path().isEmpty() ? "/" : place.path()));
      if (found.isPresent()) {
        return found;
      }
    }
    return Optional.empty();
  }

  /// What an entry boots, if its files are there and the kernel is one for this processor.
  private Optional<InstalledKernel> boot(Place place, LoaderEntry entry, String why)
      throws IOException {
    FileSystem fileSystem = place.fileSystem();
    for (FileSystem other : fileSystems) {
      if (!entry.volume().isEmpty() && other.uuid().equalsIgnoreCase(entry.volume())) {
        fileSystem = other;
      }
    }
    Optional<Node> kernel = file(fileSystem, place, entry.kernel());
    if (kernel.isEmpty()) {
      return Optional.empty();
    }
    if (!isForThisProcessor(fileSystem, kernel.get())) {
      remarks.add("%s is not a kernel for x86".formatted(entry.kernel()));
      return Optional.empty();
    }
    List<Node> initrds = new ArrayList<>();
    for (String path : entry.initrds()) {
      Optional<Node> initrd = file(fileSystem, place, path);
      if (initrd.isEmpty()) {
        remarks.add("%s names the RAM disk %s, which is not there".formatted(why, path));
        return Optional.empty();
      }
      initrds.add(initrd.get());
    }
    return Optional.of(
        new InstalledKernel(
            fileSystem,
            kernel.get(),
            initrds,
            commandLine(entry.options(), fileSystem),
            "%s in %s (%s%s)"
                .formatted(
                    entry.kernel(),
                    fileSystem.volume().name(),
                    fileSystem.type(),
                    fileSystem.label().isEmpty() ? "" : ", label " + fileSystem.label()),
            why,
            remarks));
  }

  /// Paths are from the top of the file system; some loaders leave out a `/boot` that is a folder.
  private static Optional<Node> file(FileSystem fileSystem, Place place, String path)
      throws IOException {
    Optional<Node> found = fileSystem.find(path);
    if (found.isEmpty() && !place.path().isEmpty()) {
      found = fileSystem.find(place.path() + "/" + path);
    }
    if (found.isEmpty() && path.startsWith("/boot/")) {
      found = fileSystem.find(path.substring("/boot".length()));
    }
    return found.filter(node -> node.kind() == Node.Kind.FILE);
  }

  private static boolean isForThisProcessor(FileSystem fileSystem, Node kernel) throws IOException {
    if (kernel.size() < SETUP_MAGIC_AT + 4) {
      return false;
    }
    byte[] head = fileSystem.start(kernel, SETUP_MAGIC_AT + 4);
    var fields = java.nio.ByteBuffer.wrap(head).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    return fields.getInt(SETUP_MAGIC_AT) == SETUP_MAGIC || fields.getInt(0) == ELF_MAGIC;
  }

  /// The entry's own words; with a root and a console on the serial port if they name none.
  private String commandLine(String options, FileSystem kernelsOwn) throws IOException {
    List<String> words = new ArrayList<>();
    if (!options.isEmpty()) {
      words.add(options);
    }
    if (!(" " + options).contains(" root=")) {
      FileSystem system = root.orElse(kernelsOwn);
      if (root.isEmpty() && !isRoot(kernelsOwn)) {
        remarks.add("no partition here is known to be the root: the RAM disk has to find it");
      } else if (!system.uuid().isEmpty()) {
        words.add("root=UUID=%s".formatted(system.uuid()));
        if (!(" " + options + " ").contains(" rw ")) {
          words.add("ro");
        }
      }
    }
    if (!(" " + options).contains(" console=ttyS")) {
      words.add("console=ttyS0");
    }
    return String.join(" ", words);
  }

  private static String text(FileSystem fileSystem, Node file) throws IOException {
    return new String(fileSystem.content(file, MOST_TEXT), StandardCharsets.UTF_8);
  }
}
