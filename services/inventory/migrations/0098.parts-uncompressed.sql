-- depends: 0095.serials
-- A SKU that many baskets hold has a part of tens of kilobytes, of ids that do not compress, and it is written
-- with each of them. The server took half of the time of holding a basket for trying. Smaller ones stay inline.
ALTER TABLE part ALTER COLUMN part SET STORAGE EXTERNAL;
