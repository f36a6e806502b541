package dev.partita.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class FileTreeTest {
  private final FileTree tree = new FileTree();

  @Test
  void missingParentsBecomeDirectoriesAndComeFirst() throws ImageException {
    tree.file("a/b/c", 0644, new byte[0]);
    tree.file("a-b", 0644, new byte[0]);

    assertThat(tree.nodes().keySet()).containsExactly("a", "a-b", "a/b", "a/b/c");
    assertThat(tree.get("a/b")).isEqualTo(new FileTree.Directory(0755));
  }

  @Test
  void aLinkAmongTheParentsIsFollowedWithinTheTree() throws ImageException {
    tree.directory("usr/lib", 0755);
    tree.symbolicLink("lib", "usr/lib");
    tree.symbolicLink("usr/lib64", "/lib");
    tree.symbolicLink("usr/out", "../../../etc");

    tree.file("lib/x", 0644, new byte[0]);
    tree.file("usr/lib64/y", 0644, new byte[0]);
    tree.file("usr/out/passwd", 0644, new byte[0]);

    assertThat(tree.nodes()).containsKeys("usr/lib/x", "usr/lib/y", "etc/passwd");
  }

  @Test
  void aCircleOfLinksIsAnError() throws ImageException {
    tree.symbolicLink("a", "b");
    tree.symbolicLink("b", "a");

    assertThatThrownBy(() -> tree.file("a/x", 0644, new byte[0]))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("too many symbolic links");
  }

  @Test
  void aDirectoryStaysADirectoryAndALinkToOneStaysALink() throws ImageException {
    tree.directory("usr", 0700);
    tree.symbolicLink("lib", "usr");

    tree.directory("lib", 0755);
    assertThatThrownBy(() -> tree.file("usr", 0644, new byte[0]))
        .isInstanceOf(ImageException.class);

    assertThat(tree.get("lib")).isEqualTo(new FileTree.SymbolicLink("usr"));
  }

  @Test
  void aPathThroughAFileOrToNothingIsAnError() throws ImageException {
    tree.file("file", 0644, new byte[0]);

    assertThatThrownBy(() -> tree.directory("file/x", 0755)).isInstanceOf(ImageException.class);
    assertThatThrownBy(() -> tree.directory("./", 0755)).isInstanceOf(ImageException.class);
    assertThatThrownBy(() -> tree.directory("x/..", 0755)).isInstanceOf(ImageException.class);
    assertThatThrownBy(() -> tree.hardLink("link", "nothing")).isInstanceOf(ImageException.class);
  }

  @Test
  void aHardLinkIsTheSameFile() throws ImageException {
    tree.file("one", 0644, new byte[] {1});
    tree.hardLink("two", "one");

    assertThat(tree.get("two")).isSameAs(tree.get("one"));
  }
}
