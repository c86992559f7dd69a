// Checks a log of tiles with Go's own implementation: golang.org/x/mod/sumdb/tlog and note.
//
// Standard input: one JSON object a line, each a log; the program ends with an error at the first that does not hold.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type leaf struct {
	Index int64    `json:"index"`
	Entry string   `json:"entry"`
	Path  []string `json:"path"`
}

type asked struct {
	Dir    string `json:"dir"`
	Key    string `json:"key"`
	Leaves []leaf `json:"leaves"`
	Older  struct {
		Size int64    `json:"size"`
		Root string   `json:"root"`
		Path []string `json:"path"`
	} `json:"older"`
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func hash(text string) (found tlog.Hash) {
	copy(found[:], must(base64.StdEncoding.DecodeString(text)))
	return found
}

func same(ours []string, theirs []tlog.Hash, what string) {
	if len(ours) != len(theirs) {
		log.Fatalf("%s: %d hashes, and Go has %d", what, len(ours), len(theirs))
	}
	for i, one := range theirs {
		if hash(ours[i]) != one {
			log.Fatalf("%s: hash %d differs", what, i)
		}
	}
}

type files string

func (dir files) Height() int                           { return 8 }
func (dir files) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (dir files) ReadTiles(tiles []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range tiles {
		// Go writes the height into the path, C2SP does not.
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(string(dir), path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func check(one asked) {
	verifier := must(note.NewVerifier(one.Key))
	text := must(os.ReadFile(filepath.Join(one.Dir, "checkpoint")))
	signed := must(note.Open(text, note.VerifierList(verifier)))
	lines := strings.Split(signed.Text, "\n")
	tree := tlog.Tree{N: must(strconv.ParseInt(lines[1], 10, 64)), Hash: hash(lines[2])}
	reader := tlog.TileHashReader(tree, files(one.Dir))
	for _, leaf := range one.Leaves {
		record := tlog.RecordHash(must(base64.StdEncoding.DecodeString(leaf.Entry)))
		proof := must(tlog.ProveRecord(tree.N, leaf.Index, reader))
		same(leaf.Path, proof, fmt.Sprintf("inclusion of %d in %d", leaf.Index, tree.N))
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, leaf.Index, record); err != nil {
			log.Fatal(err)
		}
	}
	if one.Older.Size > 0 {
		proof := must(tlog.ProveTree(tree.N, one.Older.Size, reader))
		same(one.Older.Path, proof, fmt.Sprintf("consistency of %d with %d", one.Older.Size, tree.N))
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, one.Older.Size, hash(one.Older.Root)); err != nil {
			log.Fatal(err)
		}
	}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<26)
	count := 0
	for input.Scan() {
		var one asked
		if err := json.Unmarshal(input.Bytes(), &one); err != nil {
			log.Fatal(err)
		}
		check(one)
		count++
	}
	fmt.Println(count)
}
