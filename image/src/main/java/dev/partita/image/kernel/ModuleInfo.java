package dev.partita.image.kernel;

import dev.partita.image.archive.MalformedArchiveException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// What a Linux kernel module says of itself in its section `.modinfo`, a list of `key=value`
/// strings parted by zero bytes (Linux: include/linux/moduleparam.h; kmod's modinfo(8)).
///
/// @param path where it is under its release's folder, as in `kernel/fs/fat/vfat.ko`
/// @param name the name that programs call it: the file's name without `.ko`, with `_` for `-`
/// @param depends the modules whose symbols it uses
/// @param softDepends the modules, or aliases of modules, that it asks to be loaded with it
/// @param aliases patterns of the devices and uses that it serves, in its order
public record ModuleInfo(
    String path,
    String name,
    List<String> depends,
    List<String> softDepends,
    List<String> aliases) {

  private static final int ELF_MAGIC = 0x7f454c46; // ELF specification, e_ident
  private static final int CLASS_64 = 2;
  private static final int LITTLE_ENDIAN = 1;
  private static final int SECTION_HEADER_SIZE = 64; // Elf64_Shdr
  private static final int SHT_NOBITS = 8;

  /// Takes the name that programs use from a file's path.
  public static String nameOf(String path) {
    String file = path.substring(path.lastIndexOf('/') + 1);
    int dot = file.indexOf(".ko");
    return canonicalName(dot < 0 ? file : file.substring(0, dot));
  }

  static String canonicalName(String name) {
    return name.replace('-', '_');
  }

  /// Reads the section from a module.
  ///
  /// @param path the module's path under its release's folder
  /// @param elf the module, not compressed: a relocatable ELF64 file
  /// @throws MalformedArchiveException when it is none
  public static ModuleInfo of(String path, byte[] elf) throws MalformedArchiveException {
    List<String> depends = new ArrayList<>();
    List<String> softDepends = new ArrayList<>();
    List<String> aliases = new ArrayList<>();
    for (String field : modinfo(path, elf).split("\0")) {
      int equals = field.indexOf('=');
      if (equals < 0) {
        continue;
      }
      String value = field.substring(equals + 1);
      switch (field.substring(0, equals)) {
        case "depends" -> {
          for (String name : value.split(",")) {
            if (!name.isBlank()) {
              depends.add(canonicalName(name.strip()));
            }
          }
        }
        case "softdep" -> {
          for (String name : value.split("\\s+")) {
            if (!name.isEmpty() && !name.equals("pre:") && !name.equals("post:")) {
              softDepends.add(name);
            }
          }
        }
        case "alias" -> aliases.add(value);
        default -> {} // licence, version, parameters
      }
    }
    return new ModuleInfo(
        path, nameOf(path), List.copyOf(depends), List.copyOf(softDepends), List.copyOf(aliases));
  }

  private static String modinfo(String path, byte[] elf) throws MalformedArchiveException {
    ByteBuffer file = ByteBuffer.wrap(elf);
    if (elf.length < 64
        || file.getInt(0) != ELF_MAGIC
        || elf[4] != CLASS_64
        || elf[5] != LITTLE_ENDIAN) {
      throw new MalformedArchiveException("%s: not a 64-bit kernel module".formatted(path));
    }
    file.order(ByteOrder.LITTLE_ENDIAN);
    long table = file.getLong(40); // e_shoff
    int entrySize = Short.toUnsignedInt(file.getShort(58)); // e_shentsize
    int count = Short.toUnsignedInt(file.getShort(60)); // e_shnum
    int namesIndex = Short.toUnsignedInt(file.getShort(62)); // e_shstrndx
    if (entrySize != SECTION_HEADER_SIZE
        || namesIndex >= count
        || table < 0
        || table > elf.length - (long) count * SECTION_HEADER_SIZE) {
      throw new MalformedArchiveException("%s: its table of sections is broken".formatted(path));
    }
    int start = (int) table;
    String names = section(path, file, start + namesIndex * SECTION_HEADER_SIZE);
    for (int i = 0; i < count; i++) {
      int header = start + i * SECTION_HEADER_SIZE;
      int name = file.getInt(header); // sh_name
      if (name >= 0 && names.startsWith(".modinfo\0", name)) {
        return section(path, file, header);
      }
    }
    throw new MalformedArchiveException("%s: a module without .modinfo".formatted(path));
  }

  private static String section(String path, ByteBuffer file, int header)
      throws MalformedArchiveException {
    int type = file.getInt(header + 4); // sh_type
    long offset = file.getLong(header + 24); // sh_offset
    long size = file.getLong(header + 32); // sh_size
    if (type == SHT_NOBITS
        || offset < 0
        || size < 0
        || offset > file.capacity()
        || size > file.capacity() - offset) {
      throw new MalformedArchiveException("%s: a section past the file's end".formatted(path));
    }
    return new String(file.array(), (int) offset, (int) size, StandardCharsets.ISO_8859_1);
  }
}
