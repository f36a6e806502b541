package dev.partita.image.filesystem;

/// Offsets and values of ext2, ext3 and ext4 on disk (Linux: Documentation/filesystems/ext4,
/// "Data Structures and Algorithms"). All numbers are little-endian.
final class ExtLayout {
  /// Where the superblock is, whatever the block size.
  static final long SUPERBLOCK = 1024;

  static final int SUPERBLOCK_SIZE = 1024;
  static final int MAGIC = 0xef53;

  // The superblock's fields.
  static final int S_INODES_COUNT = 0x00;
  static final int S_BLOCKS_COUNT_LO = 0x04;
  static final int S_FIRST_DATA_BLOCK = 0x14;
  static final int S_LOG_BLOCK_SIZE = 0x18;
  static final int S_BLOCKS_PER_GROUP = 0x20;
  static final int S_INODES_PER_GROUP = 0x28;
  static final int S_MAGIC = 0x38;
  static final int S_REV_LEVEL = 0x4c;
  static final int S_INODE_SIZE = 0x58;
  static final int S_FEATURE_COMPAT = 0x5c;
  static final int S_FEATURE_INCOMPAT = 0x60;
  static final int S_FEATURE_RO_COMPAT = 0x64;
  static final int S_UUID = 0x68;
  static final int S_VOLUME_NAME = 0x78;
  static final int S_JOURNAL_INUM = 0xe0;
  static final int S_DESC_SIZE = 0xfe;
  static final int S_FIRST_META_BG = 0x104;
  static final int S_BLOCKS_COUNT_HI = 0x150;

  // Features that must be understood to read.
  static final int INCOMPAT_COMPRESSION = 0x1;
  static final int INCOMPAT_FILETYPE = 0x2;
  static final int INCOMPAT_RECOVER = 0x4;
  static final int INCOMPAT_JOURNAL_DEV = 0x8;
  static final int INCOMPAT_META_BG = 0x10;
  static final int INCOMPAT_EXTENTS = 0x40;
  static final int INCOMPAT_64BIT = 0x80;
  static final int INCOMPAT_MMP = 0x100;
  static final int INCOMPAT_FLEX_BG = 0x200;
  static final int INCOMPAT_EA_INODE = 0x400;
  static final int INCOMPAT_CSUM_SEED = 0x2000;
  static final int INCOMPAT_LARGEDIR = 0x4000;
  static final int INCOMPAT_INLINE_DATA = 0x8000;
  static final int INCOMPAT_ENCRYPT = 0x10000;
  static final int INCOMPAT_CASEFOLD = 0x20000;

  /// All that is understood here. Encrypted files and names are not, but those of the system are
  /// not encrypted; case folding concerns single directories.
  static final int INCOMPAT_UNDERSTOOD =
      INCOMPAT_FILETYPE
          | INCOMPAT_RECOVER
          | INCOMPAT_META_BG
          | INCOMPAT_EXTENTS
          | INCOMPAT_64BIT
          | INCOMPAT_MMP
          | INCOMPAT_FLEX_BG
          | INCOMPAT_EA_INODE
          | INCOMPAT_CSUM_SEED
          | INCOMPAT_LARGEDIR
          | INCOMPAT_INLINE_DATA
          | INCOMPAT_ENCRYPT
          | INCOMPAT_CASEFOLD;

  static final int COMPAT_HAS_JOURNAL = 0x4;
  static final int COMPAT_SPARSE_SUPER2 = 0x200;
  static final int RO_COMPAT_SPARSE_SUPER = 0x1;

  // A group descriptor's fields; the higher half is there in descriptors of 64 bytes.
  static final int BG_INODE_TABLE_LO = 0x08;
  static final int BG_INODE_TABLE_HI = 0x28;
  static final int DESCRIPTOR_32 = 32;
  static final int DESCRIPTOR_64 = 64;

  // An inode's fields.
  static final int I_MODE = 0x00;
  static final int I_SIZE_LO = 0x04;
  static final int I_FLAGS = 0x20;
  static final int I_BLOCK = 0x28;
  static final int I_BLOCK_SIZE = 60;
  static final int I_SIZE_HIGH = 0x6c;
  static final int I_EXTRA_ISIZE = 0x80;
  static final int OLD_INODE_SIZE = 128;

  static final int FLAG_COMPRESSED = 0x4;
  static final int FLAG_ENCRYPTED = 0x800;
  static final int FLAG_EXTENTS = 0x80000;
  static final int FLAG_INLINE_DATA = 0x10000000;

  static final int ROOT_INODE = 2;

  // Extent trees.
  static final int EXTENT_MAGIC = 0xf30a;
  static final int EXTENT_SIZE = 12;

  /// Five levels reach all 2^32 blocks with blocks of 1 KiB.
  static final int EXTENT_DEPTH = 5;

  /// A longer extent is one of this much less that was reserved and never written.
  static final int EXTENT_UNWRITTEN = 32768;

  // Extended attributes in the inode, for inline data.
  static final int XATTR_MAGIC = 0xea020000;
  static final int XATTR_ENTRY_SIZE = 16;
  static final int XATTR_INDEX_SYSTEM = 7;

  private ExtLayout() {}
}
